"""Every backtest on a ledger is a trial: counted, so that the best of many is not taken for skill."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from marketgpt_core.candles import Candles
from marketgpt_core.signal import Signal
from marketgpt_core.times import to_datetime
from marketgpt_signals.backtest.market import fetch_benchmarks
from marketgpt_signals.backtest.result import BacktestConfig, BacktestResult
from marketgpt_signals.backtest.run import backtest_signals
from marketgpt_signals.backtest.sharpe import deflated_sharpe
from marketgpt_signals.candle_source import fetch_candles
from marketgpt_signals.provenance import backtest_record
from marketgpt_signals.records import BacktestRecord, Records


@dataclass(frozen=True)
class Trial:
    """What was tried once.

    Attributes:
        digest: Identity of what was traded, at which costs, on which bars.
        sharpe: Of single bars; None when the account never moved.
        symbols: What it traded.
        start, end: First and last bar; aware, UTC.
    """

    digest: str
    sharpe: float | None
    symbols: frozenset[str]
    start: datetime
    end: datetime

    def overlaps(self, other: Trial) -> bool:
        """Return whether both traded a symbol in common during a time in common."""
        return bool(self.symbols & other.symbols) and self.start <= other.end and other.start <= self.end


def trial_of(result: BacktestResult) -> Trial:
    """Return the trial a backtest is."""
    sharpe = None if result.moments is None else result.moments.sharpe
    start, end = to_datetime(result.time[0]), to_datetime(result.time[-1])
    return Trial(result.digest, sharpe, frozenset(result.symbols), start, end)


def recorded_trials(records: Iterable[BacktestRecord]) -> dict[str, Trial]:
    """Return the trials among what a ledger has written down, by digest: a repeat is no other trial.

    Records of before trials were counted have no digest: each counts as a trial of its own. What was not
    written by a backtest of signals is left out.
    """
    found: dict[str, Trial] = {}
    for record in records:
        told = record.metrics
        if not {"symbols", "start", "end", "net", "num_bars"} <= set(told):
            continue
        trial = Trial(
            digest=told.get("digest") or record.id,
            sharpe=_sharpe(told),
            symbols=frozenset(told["symbols"]),
            start=to_datetime(told["start"]),
            end=to_datetime(told["end"]),
        )
        found.setdefault(trial.digest, trial)
    return found


def _sharpe(told: Mapping[str, Any]) -> float | None:
    if told.get("moments"):
        return float(told["moments"]["sharpe"])
    a_year = told["net"].get("sharpe")
    seconds = (to_datetime(told["end"]) - to_datetime(told["start"])).total_seconds()
    per_year = (told["num_bars"] - 1) / max(seconds, 1.0) * 365.25 * 24 * 3600
    return None if a_year is None or per_year <= 0 else float(a_year) / math.sqrt(per_year)


def tried_ratios(records: Iterable[BacktestRecord], *own: Trial) -> list[float]:
    """Return the Sharpe ratios of some trials and of all that overlaps any of them.

    What never traded has none and does not count.

    Args:
        records: What ledgers have written down.
        own: The trials.
    """
    known = recorded_trials(records) | {one.digest: one for one in own}
    return [
        one.sharpe
        for one in known.values()
        if one.sharpe is not None and any(one.overlaps(mine) for mine in own)
    ]


def deflated(result: BacktestResult, records: Iterable[BacktestRecord]) -> BacktestResult:
    """Return a backtest with its Sharpe ratio deflated by the trials a ledger knows, itself included.

    Trials that share neither a symbol nor a time with it do not count, nor do those that never traded.

    Args:
        result: A backtest.
        records: What the ledger has written down.
    """
    own = trial_of(result)
    if result.moments is None or own.sharpe is None:
        return result
    return replace(result, deflated=deflated_sharpe(result.moments, tried_ratios(records, own)))


def charge(
    result: BacktestResult,
    ledger: Records,
    candles: Candles,
    traded: Sequence[Signal],
    now: datetime,
    *,
    others: Iterable[BacktestRecord] = (),
) -> BacktestResult:
    """Deflate a backtest by the trials of a ledger and write it down there, unless it is one of them.

    Args:
        result: A backtest of the ledger's signals.
        ledger: Theirs.
        candles: It traded on.
        traded: The signals it was asked to trade.
        now: Aware.
        others: What other ledgers have written down, whose trials count too.

    Returns:
        The backtest with its deflated Sharpe ratio.
    """
    known = ledger.backtests()
    charged = deflated(result, [*known, *others])
    if charged.digest not in recorded_trials(known):
        ledger.record_backtest(backtest_record(charged.to_json(series=False), candles, traded, now))
    return charged


def run_trial(
    traded: Sequence[Signal],
    ledger: Records,
    source: str,
    config: BacktestConfig,
    now: datetime,
    *,
    benchmarks: Sequence[str] = (),
    others: Iterable[BacktestRecord] = (),
) -> tuple[BacktestResult, Candles]:
    """Fetch candles, trade signals on them, hold them against their markets and charge the trial.

    Args:
        traded: Signals of a ledger, of one interval.
        ledger: Theirs.
        source: See :func:`marketgpt_signals.candle_source.fetch_candles`.
        config: How to test.
        now: Aware.
        benchmarks: See :func:`marketgpt_signals.backtest.market.fetch_benchmarks`.
        others: See :func:`charge`.

    Returns:
        (backtest, the candles it traded on).
    """
    candles = fetch_candles(source, sorted({signal.symbol for signal in traded}), traded[0].interval)
    market, missing = fetch_benchmarks(source, candles, benchmarks)
    result = backtest_signals(traded, candles, config, market=market)
    result = replace(result, notes=(*result.notes, *missing))
    return charge(result, ledger, candles, traded, now, others=others), candles
