"""What a reader of a tearsheet should not believe, said from its own numbers."""

from __future__ import annotations

import numpy as np

from marketgpt_core.times import iso
from marketgpt_signals.backtest.metrics import elapsed_years
from marketgpt_signals.backtest.result import BacktestResult
from marketgpt_signals.backtest.tearsheet.tables import number, percent

_FEW_YEARS = 3
_FEW_TRADES = 100
_LOW_EXPOSURE = 0.5


def verdict(result: BacktestResult) -> str:
    """Return one sentence: against holding, and against chance."""
    ours, theirs = result.net, result.hold
    word = "more than" if ours.total_return > theirs.total_return else "less than"
    if ours.total_return == theirs.total_return:
        word = "the same as"
    told = (
        f"After costs the account made {percent(ours.total_return)}, {word} buying and holding the same "
        f"symbols ({percent(theirs.total_return)})."
    )
    bounds = ours.sharpe_interval
    if bounds is None:
        return f"{told} Whether its Sharpe ratio differs from zero cannot be told."
    within = bounds[0] <= 0 <= bounds[1]
    said = "the interval holds zero: this may be chance" if within else "the interval excludes zero"
    return (
        f"{told} Sharpe ratio {number(ours.sharpe)}, 90% interval {number(bounds[0])} to "
        f"{number(bounds[1])}; {said}."
    )


def chance(result: BacktestResult) -> str:
    """Return how likely the Sharpe ratio is skill, once it is asked how many were tried."""
    probability, deflated = result.net.probabilistic_sharpe, result.deflated
    if probability is None:
        return ""
    told = f"Probability that the true Sharpe ratio exceeds 0: {percent(probability)}"
    if deflated is None or deflated.num_trials == 1:
        return f"{told}, had nothing else been tried: this is the only backtest counted."
    return (
        f"{told} had nothing else been tried; that it exceeds what the best of {deflated.num_trials} trials "
        f"on this ledger would show by luck: {percent(deflated.probability)} (Bailey and Lopez de Prado)."
    )


def caveats(result: BacktestResult, *, num_models: int) -> list[str]:
    """Return what weakens this test, the general after the particular."""
    return [*_particular(result, num_models), *_GENERAL]


def _particular(result: BacktestResult, num_models: int) -> list[str]:
    told = []
    years, trades = elapsed_years(result.time), result.trades
    if (result.equity <= 0).any():
        moment = iso(result.time[int(np.argmax(result.equity <= 0))])
        told.append(f"The account was ruined at {moment}: nothing was traded after it.")
    if years < _FEW_YEARS:
        told.append(f"The test spans {years:.2f} years: one kind of market, seen once.")
    if trades is not None and trades.num_closed == 0:
        told.append("No LONG or SHORT signal was closed: there is nothing to judge the signals by.")
    elif trades is not None and trades.num_closed < _FEW_TRADES:
        told.append(f"Only {trades.num_closed} signals were closed.")
    told += result.notes
    if result.num_outside:
        told.append(f"{result.num_outside} signals are outside the candles and were left out.")
    if result.exposure < _LOW_EXPOSURE:
        told.append(
            f"On average {percent(result.exposure)} of the account was at work, while holding has all of it: "
            "a smaller drawdown or volatility comes from that, too."
        )
    if num_models > 1:
        told.append(f"The signals are of {num_models} models: one curve, several minds.")
    return told


_GENERAL = (
    (
        "Only what was backtested on this ledger is counted as tried. Other rules, options, models and "
        "symbols that somebody looked at elsewhere are not; the best of many looks good by chance."
    ),
    "Symbols that somebody picks today are those that survived.",
    (
        "Every order fills at the bar's open plus a fixed slippage, whatever its size: no queue, no impact, "
        "no halt, no limit on what can be borrowed. Taxes are left out; cash earns and owes nothing."
    ),
    "Adjusted candles have dividends in their prices; nobody could trade at these prices at that time.",
    "The model may have been trained on part of this period: ask marketgpt verify and the run's own dates.",
)
