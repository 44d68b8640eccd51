"""The search inside the tuning period: every trial written down before it counts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import Field

from marketgpt_core.candles import Candles
from marketgpt_core.clock import Clock
from marketgpt_core.config import Config
from marketgpt_core.errors import ConfigError
from marketgpt_core.forecast import Forecast
from marketgpt_core.times import iso, to_datetime64
from marketgpt_signals.costs import CostModel
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.provenance import running_code
from marketgpt_signals.tuning.attempt import Attempt, Goal, try_options
from marketgpt_signals.tuning.folds import Period, cut_period
from marketgpt_signals.tuning.records import About, write_attempt
from marketgpt_signals.tuning.space import Space
from marketgpt_signals.tuning.study import Search, Tried, best_of, study_id

DEFAULTS = "defaults"


class TuneConfig(Config):
    """How to tune.

    Attributes:
        until: Last bar of the tuning period; nothing later is read while searching.
        horizon_bars: Horizon of the signals.
        objective: What a fold is worth, net of costs: sharpe, sortino, calmar or total_return.
        by_lower_bound: Score the lower bound of the folds' mean instead of the mean.
        num_trials: Trials, those of earlier calls on the same study among them.
        num_folds: Folds of the tuning period.
        embargo_bars: Bars left out before a fold, and before what is judged; None: the horizon.
        cost: What trading costs.
        num_resamples: Resamples behind the intervals of what is judged.
        seed: Of the search and of the intervals.
    """

    until: datetime
    horizon_bars: int = Field(ge=1)
    objective: str = "sharpe"
    by_lower_bound: bool = False
    num_trials: int = Field(default=50, ge=1, le=100_000)
    num_folds: int = Field(default=5, ge=2, le=1_000)
    embargo_bars: int | None = Field(default=None, ge=0)
    cost: CostModel = CostModel()
    num_resamples: int = Field(default=1_000, ge=0, le=100_000)
    seed: int = Field(default=0, ge=0)

    @property
    def embargo(self) -> int:
        """Bars left out between what is learned from and what is judged."""
        return self.horizon_bars if self.embargo_bars is None else self.embargo_bars

    @property
    def goal(self) -> Goal:
        """What a trial is scored by."""
        return Goal(self.objective, self.by_lower_bound, self.horizon_bars, self.cost)


@dataclass(frozen=True, eq=False)
class Question:
    """What is to be tuned.

    Attributes:
        strategy: Its name.
        space: What to search.
        fixed: Options that stay.
        forecast: Of any time.
        candles: Of its symbols, of any time.
        config: How.
    """

    strategy: str
    space: Space
    fixed: Mapping[str, Any]
    forecast: Forecast
    candles: Candles
    config: TuneConfig

    def period(self) -> Period:
        """Cut the tuning period out; raises as :func:`cut_period`."""
        config = self.config
        return cut_period(
            self.forecast,
            self.candles,
            until=to_datetime64(config.until),
            horizon_bars=config.horizon_bars,
            num_folds=config.num_folds,
            embargo_bars=config.embargo,
        )

    def options(self, searched: Mapping[str, Any]) -> dict[str, Any]:
        """Return all of a strategy's options: what is fixed, what was searched, and the horizon."""
        return {**self.fixed, **searched, "horizons": [self.config.horizon_bars]}

    def identity(self, period: Period) -> dict[str, Any]:
        """Return what makes a study the same one: all but the number of trials and what is not read."""
        asked = self.config.model_dump(mode="json", exclude={"num_trials", "num_resamples", "until"})
        return {
            "strategy": self.strategy,
            "space": {name: repr(one) for name, one in self.space.items()},
            "fixed": dict(self.fixed),
            "until": iso(to_datetime64(self.config.until)),
            "forecasts": fingerprint(period.forecast),
            "candles": period.candles.fingerprint(),
            **asked,
        }


@dataclass(frozen=True, eq=False)
class Found:
    """What the search found.

    Attributes:
        study: Its id.
        period: The tuning period.
        defaults: The strategy's defaults, traded on the same folds.
        tried: Every trial, oldest first.
        chosen: The best of them, traded again.
        num_before: Trials that earlier calls had finished.
    """

    study: str
    period: Period
    defaults: Attempt
    tried: list[Tried]
    chosen: Attempt
    num_before: int

    def walk_forward(self) -> tuple[float, float]:
        """Return the mean value of the folds after the first: of what was best until then, of the defaults.

        What choosing itself was worth: in each fold, the options whose mean over those before was highest.
        """
        table = np.array([one.values for one in self.tried])
        ours = [
            table[int(np.argmax(table[:, :fold].mean(axis=1))), fold] for fold in range(1, table.shape[1])
        ]
        theirs = [fold.value for fold in self.defaults.folds[1:]]
        return float(np.mean(ours)), float(np.mean(theirs))


def search(question: Question, ledger: Ledger, clock: Clock, *, storage: Path | None = None) -> Found:
    """Search options on the tuning period; what comes after it is not looked at.

    Args:
        question: What is to be tuned.
        ledger: Where every trial is written down, fold by fold, before the search hears of its score.
        clock: For the records.
        storage: SQLite file that keeps the study, to go on with later; None: in memory.

    Raises:
        ConfigError, DataError, RunError: see :func:`cut_period`, :func:`try_options` and :class:`Search`.
    """
    period, goal = question.period(), question.config.goal
    name = study_id(question.identity(period))
    study = Search(name, question.space, seed=question.config.seed, storage=storage)

    about = About(name, question.strategy, goal, period.candles.fingerprint(), running_code())

    def attempt(label: str | int, searched: Mapping[str, Any]) -> Attempt:
        made = try_options(
            question.strategy, question.options(searched), period, goal, where=f"trial {label}"
        )
        write_attempt(ledger, made, label, about, clock.now())
        return made

    def allowed(number: int, searched: Mapping[str, Any]) -> Attempt | None:
        try:
            return attempt(number, searched)
        except ConfigError:
            return None

    defaults = attempt(DEFAULTS, {})
    num_before = len(study.tried())
    study.run(question.config.num_trials, allowed)
    tried = study.tried()
    chosen = try_options(
        question.strategy, question.options(best_of(tried).options), period, goal, where="the best trial"
    )
    return Found(name, period, defaults, tried, chosen, num_before)


def fingerprint(forecast: Forecast) -> str:
    """Return the identity of a forecast's rows: 64 hex digits."""
    digest = hashlib.sha256("\0".join([forecast.model_id, *forecast.symbols]).encode())
    for array in (
        forecast.as_of.astype(np.int64), forecast.horizons, forecast.close, forecast.quantiles, forecast.p_up,
        forecast.aleatoric, forecast.epistemic,
    ):  # fmt: skip
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
