"""The one look at what came after the tuning period."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Signal
from marketgpt_core.times import iso, to_datetime, to_datetime64
from marketgpt_signals.backtest import (
    BacktestConfig,
    BacktestResult,
    DeflatedSharpe,
    SharpeMoments,
    backtest_signals,
    deflated_sharpe,
)
from marketgpt_signals.backtest.bootstrap import Interval, percentile_intervals, resamples
from marketgpt_signals.backtest.measures import ratio
from marketgpt_signals.backtest.metrics import LEVEL, bar_returns, elapsed_years
from marketgpt_signals.backtest.weights import price_grid
from marketgpt_signals.base import signals_of
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.provenance import backtest_record
from marketgpt_signals.registry import strategies
from marketgpt_signals.trials import trial_of as trial_of_backtest
from marketgpt_signals.trials import tried_ratios
from marketgpt_signals.tuning.attempt import MADE_AT
from marketgpt_signals.tuning.records import HELD_OUT, earlier_looks, trial_of
from marketgpt_signals.tuning.search import Found, Question

_FEWEST_DATES = 2


@dataclass(frozen=True, eq=False)
class Judged:
    """What the chosen options were worth where nobody had looked.

    Attributes:
        chosen, defaults: Their backtests on the held-out period.
        difference: Sharpe ratio of the chosen less that of the defaults, a year; None when one never traded.
        interval: Its 90% interval, bars of both drawn together; None likewise.
        searched: The chosen's Sharpe ratio in the tuning period, charged with every trial; None when it never
            traded.
        deflated: The same on the held-out period, charged with the same trials and those of its own.
        num_looks: Other studies that were judged on a period that overlaps this one before.
    """

    chosen: BacktestResult
    defaults: BacktestResult
    difference: float | None
    interval: Interval | None
    searched: DeflatedSharpe | None
    deflated: DeflatedSharpe | None
    num_looks: int

    @property
    def is_better(self) -> bool:
        """Whether the interval of the difference excludes that the chosen options are no better."""
        return self.interval is not None and self.interval[0] > 0


def held_out(question: Question) -> Forecast:
    """Return the rows to judge on: after the tuning period and the embargo.

    Raises:
        DataError: when there are fewer than two dates.
    """
    config, until = question.config, to_datetime64(question.config.until)
    bars = price_grid(list(question.candles.values())).time
    later = bars[bars > until][config.embargo :]
    forecast = question.forecast
    rows = forecast.rows(forecast.as_of >= later[0]) if len(later) else forecast.rows(slice(0, 0))
    if len(np.unique(rows.as_of)) < _FEWEST_DATES:
        raise DataError(
            f"nothing is left to judge on: the forecasts end at {iso(forecast.as_of.max())}, tuning at "
            f"{iso(until)} and {config.embargo} bars of embargo; tune until an earlier date"
        )
    return rows


def check(question: Question) -> None:
    """Refuse what cannot be searched or judged, before anything is written anywhere.

    Of what comes after the tuning period only dates are looked at.

    Raises:
        ConfigError, DataError: see an objective that is none, :meth:`Question.period`, :func:`held_out`.
    """
    _ = question.config.goal
    question.period()
    held_out(question)


def judge(question: Question, found: Found, ledger: Ledger, now: datetime) -> Judged:
    """Judge the chosen options and the defaults on the held-out period, and write both down.

    Args:
        question: What was tuned.
        found: What the search found.
        ledger: Where it is written down.
        now: Aware.

    Raises:
        DataError: see :func:`held_out`.
    """
    rows = held_out(question)
    first, last = (to_datetime(moment) for moment in (rows.as_of.min(), rows.as_of.max()))
    num_looks = earlier_looks(ledger, found.study, first, last)
    defaults = _backtest(question, rows, found.defaults.options)
    chosen = _backtest(question, rows, found.chosen.options)
    for role, options, (signals, result) in (
        ("defaults", found.defaults.options, defaults),
        ("chosen", found.chosen.options, chosen),
    ):
        plain = backtest_record(result.to_json(series=False), question.candles, signals, now)
        about = {"tuning": found.study, "trial": role, "fold": HELD_OUT, "options": dict(options)}
        config = {**plain.config, **about, "strategy": question.strategy}
        ledger.record_backtest(replace(plain, config=config))
    ours, theirs = chosen[1], defaults[1]
    searched, own = trial_of(found.chosen), trial_of_backtest(ours)
    difference, interval = _difference(ours, theirs)
    return Judged(
        chosen=ours,
        defaults=theirs,
        difference=difference,
        interval=interval,
        searched=_deflated(found.chosen.moments, tried_ratios(ledger.backtests(), searched)),
        deflated=_deflated(ours.moments, tried_ratios(ledger.backtests(), searched, own)),
        num_looks=num_looks,
    )


def _backtest(
    question: Question, rows: Forecast, options: Mapping[str, Any]
) -> tuple[list[Signal], BacktestResult]:
    config = question.config
    strategy = strategies().create(question.strategy, options)
    made = signals_of(strategy, rows, created_at=MADE_AT, candles=question.candles)
    made = [signal for signal in made if signal.horizon_bars == config.horizon_bars]
    asked = BacktestConfig(
        horizon_bars=config.horizon_bars,
        cost=config.cost,
        num_resamples=config.num_resamples,
        num_random=0,
        seed=config.seed,
    )
    return made, backtest_signals(made, question.candles, asked)


def _deflated(moments: SharpeMoments | None, trials: list[float]) -> DeflatedSharpe | None:
    return None if moments is None else deflated_sharpe(moments, trials)


def _difference(ours: BacktestResult, theirs: BacktestResult) -> tuple[float | None, Interval | None]:
    """Return the difference of the Sharpe ratios a year and its 90% interval."""
    years = elapsed_years(ours.time)
    if ours.net.sharpe is None or theirs.net.sharpe is None or years <= 0:
        return None, None
    pair = np.zeros((len(ours.time) - 1, 2))
    for column, result in enumerate((ours, theirs)):
        returns = bar_returns(result.equity)
        pair[: len(returns), column] = returns  # a ruined account does not move
    root = np.sqrt(len(pair) / years)

    def sharpes(sample: NDArray[np.float64]) -> NDArray[np.float64]:
        found: NDArray[np.float64] = ratio(sample.mean(axis=-2), sample.std(axis=-2, ddof=1)) * root
        return found

    config = ours.config
    drawn = [
        sharpes(pair[rows])
        for rows in resamples(len(pair), config.mean_block(len(ours.time)), config.num_resamples, config.seed)
    ]
    gaps = {"all": -np.diff(np.concatenate(drawn))[:, 0]} if drawn else {}
    whole = sharpes(pair)
    return float(whole[0] - whole[1]), percentile_intervals(gaps, LEVEL).get("all")
