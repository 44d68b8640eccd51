"""Trials in the ledger: what was tried is written down, and counted from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from marketgpt_signals.ledger import Ledger
from marketgpt_signals.provenance import running_code
from marketgpt_signals.records import BacktestRecord
from marketgpt_signals.tuning.folds import Period
from marketgpt_signals.tuning.trial import Goal, Trial

ALL_FOLDS, HELD_OUT = "all", "held out"


@dataclass(frozen=True)
class Charge:
    """What is charged to the best of many.

    Attributes:
        sharpes: Of a bar, of each different set of options that was ever tried on these candles and moved.
        num_tried: Different sets of options, those among them that never traded.
        num_studies: Studies they are of.
    """

    sharpes: tuple[float, ...]
    num_tried: int
    num_studies: int


def write_trial(
    ledger: Ledger,
    trial: Trial,
    study: str,
    number: int | str,
    strategy: str,
    period: Period,
    goal: Goal,
    now: datetime,
) -> None:
    """Write a trial down as backtests: one a fold, and one of all of them with its score.

    The same trial again is not written again.
    """
    config = {
        "tuning": study,
        "trial": number,
        "strategy": strategy,
        "options": dict(trial.options),
        "objective": goal.objective,
        "by_lower_bound": goal.by_lower_bound,
        "horizon_bars": goal.horizon_bars,
        "cost": goal.cost.model_dump(),
    }
    shared = {
        "data_fingerprint": period.candles.fingerprint(),
        "code_revision": running_code(),
        "created_at": now,
    }
    for fold, result in enumerate(trial.folds, start=1):
        ledger.record_backtest(
            BacktestRecord(
                config=config | {"fold": fold},
                metrics=result.metrics(),
                first_as_of=result.first_as_of,
                last_as_of=result.last_as_of,
                **shared,
            )
        )
    together = {
        "score": trial.score,
        "sharpe_of_a_bar": trial.sharpe_of_a_bar,
        "num_bars": len(trial.returns),
    }
    ledger.record_backtest(
        BacktestRecord(
            config=config | {"fold": ALL_FOLDS},
            metrics=together,
            first_as_of=trial.folds[0].first_as_of,
            last_as_of=trial.folds[-1].last_as_of,
            **shared,
        )
    )


def charged(ledger: Ledger, candles_fingerprint: str, goal: Goal) -> Charge:
    """Count what was tried on the same candles at the same horizon, by whatever study, strategy and model.

    Args:
        ledger: Where it was written down.
        candles_fingerprint: Of the tuning period's candles.
        goal: Its horizon counts.
    """
    found: dict[str, float | None] = {}
    studies = set()
    for record in ledger.backtests():
        config = record.config
        same = (record.data_fingerprint, config.get("horizon_bars")) == (
            candles_fingerprint,
            goal.horizon_bars,
        )
        if "tuning" in config and config["fold"] == ALL_FOLDS and same:
            found[_key(config)] = record.metrics["sharpe_of_a_bar"]
            studies.add(config["tuning"])
    moved = tuple(sharpe for sharpe in found.values() if sharpe is not None)
    return Charge(moved, len(found), len(studies))


def earlier_looks(ledger: Ledger, first: datetime, last: datetime) -> int:
    """Return how often something tuned was judged before on a held-out period that overlaps this one."""
    return sum(
        record.config.get("fold") == HELD_OUT and record.first_as_of <= last and first <= record.last_as_of
        for record in ledger.backtests()
        if "tuning" in record.config
    )


def _key(config: Mapping[str, Any]) -> str:
    return json.dumps([config["strategy"], config["options"]], sort_keys=True)
