"""Trials in the ledger: what was tried is written down, and counted from there."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from marketgpt_signals.backtest import SharpeMoments
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.records import BacktestRecord
from marketgpt_signals.trials import Trial
from marketgpt_signals.tuning.attempt import Attempt, FoldResult, Goal

ALL_FOLDS, HELD_OUT = "all", "held out"


@dataclass(frozen=True)
class About:
    """What trials of a study have in common.

    Attributes:
        study: Its id.
        strategy: The strategy.
        goal: What is sought.
        candles: Fingerprint of the tuning period's candles.
        code: Revision of the code that tries them.
    """

    study: str
    strategy: str
    goal: Goal
    candles: str
    code: str

    def config(self, attempt: Attempt, number: int | str, fold: int | str) -> dict[str, Any]:
        """Return what decides a trial."""
        return {
            "tuning": self.study,
            "trial": number,
            "fold": fold,
            "strategy": self.strategy,
            "options": dict(attempt.options),
            "objective": self.goal.objective,
            "by_lower_bound": self.goal.by_lower_bound,
            "horizon_bars": self.goal.horizon_bars,
            "cost": self.goal.cost.model_dump(),
        }


def write_attempt(ledger: Ledger, attempt: Attempt, number: int | str, about: About, now: datetime) -> None:
    """Write a trial down as backtests: one a fold, and one of all of them, which is what counts as a trial.

    The same trial again is not written again.

    Args:
        ledger: Where.
        attempt: What was tried.
        number: Of the trial, or what else it is.
        about: Its study.
        now: Aware.
    """

    def write(fold: int | str, metrics: dict[str, Any], parts: tuple[FoldResult, ...]) -> None:
        ledger.record_backtest(
            BacktestRecord(
                config=about.config(attempt, number, fold),
                metrics=metrics,
                data_fingerprint=about.candles,
                first_as_of=parts[0].first_as_of,
                last_as_of=parts[-1].last_as_of,
                code_revision=about.code,
                created_at=now,
            )
        )

    for fold, result in enumerate(attempt.folds, start=1):
        write(fold, result.metrics(), (result,))
    moments = attempt.moments
    together = {
        "score": attempt.score,
        "values": [fold.value for fold in attempt.folds],
        "num_bars": len(attempt.returns),
        "moments": None if moments is None else asdict(moments),
        "net": {"sharpe": None},
        "digest": attempt.digest,
        "symbols": list(attempt.symbols),
        "start": attempt.folds[0].first_as_of.isoformat(),
        "end": attempt.folds[-1].last_as_of.isoformat(),
    }
    write(ALL_FOLDS, together, attempt.folds)


def trial_of(attempt: Attempt) -> Trial:
    """Return a trial as :mod:`marketgpt_signals.trials` counts them."""
    moments: SharpeMoments | None = attempt.moments
    return Trial(
        digest=attempt.digest,
        sharpe=None if moments is None else moments.sharpe,
        symbols=frozenset(attempt.symbols),
        start=attempt.folds[0].first_as_of,
        end=attempt.folds[-1].last_as_of,
    )


def earlier_looks(ledger: Ledger, study: str, first: datetime, last: datetime) -> int:
    """Return how many other studies were judged on a held-out period that overlaps this one."""
    return len(
        {
            record.config["tuning"]
            for record in ledger.backtests()
            if record.config.get("fold") == HELD_OUT
            and record.config["tuning"] != study
            and record.first_as_of <= last
            and first <= record.last_as_of
        }
    )
