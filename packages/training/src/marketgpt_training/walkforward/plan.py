"""Which dates each fold is trained, validated and tested on.

The preset's split is the first fold's. What follows its validation part is cut into as many test blocks as
there are folds; each fold's validation part, as long as the first's, ends where its block begins::

    expanding    |--- train ---|- val -|-test-|             rolling   |--- train ---|- val -|-test-|
                 |------ train -------|- val -|-test-|                       |--- train ---|- val -|-test-|
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marketgpt_core.candles import Candles
from marketgpt_core.config import Config, load_config
from marketgpt_core.errors import ConfigError, DataError, RunError
from marketgpt_core.files import ensure_writable_folder, read_json, write_json
from marketgpt_core.times import iso
from marketgpt_training.config import TrainConfig
from marketgpt_training.splits import sessions

PLAN_FILE = "walk_forward.json"
MOST_FOLDS = 100
# A test block has to hold an embargo, a horizon and something to score.
_LEAST_SCORED = 5

Window = Literal["expanding", "rolling"]
Days = NDArray[np.datetime64]


class Fold(Config):
    """Dates of one fold; each end is the first date left out.

    Attributes:
        number: From 1.
        start: First date trained on; None: all there is.
        train_until: First date not trained on.
        validation_until: First date not validated on.
        test_until: First as-of date not tested on; None: the end of the data.
        data_until: First date the fold does not load at all: what its last forecasts are scored by is before.
    """

    number: int = Field(ge=1)
    start: date | None
    train_until: date
    validation_until: date
    test_until: date | None
    data_until: date | None


class Plan(Config):
    """A walk-forward's configuration and dates.

    Attributes:
        config: Of every fold, but for the dates.
        window: Whether the training part grows or moves along.
        folds: In order of time.
    """

    format: Literal[1] = 1
    window: Window
    config: TrainConfig
    folds: tuple[Fold, ...] = Field(min_length=2)

    def config_of(self, number: int) -> TrainConfig:
        """Return a fold's training configuration.

        Raises:
            ConfigError: for a fold there is none of.
        """
        if not 1 <= number <= len(self.folds):
            raise ConfigError(f"fold {number}: there are 1 to {len(self.folds)}")
        fold = self.folds[number - 1]
        values: dict[str, Any] = self.config.model_dump(mode="json")
        values["data"] |= {"start": fold.start, "end": fold.data_until}
        values["split"] |= {"train_until": fold.train_until, "validation_until": fold.validation_until}
        values["evaluation"] |= {"until": fold.test_until}
        return load_config(TrainConfig, values, where=f"fold {number}")


def plan_folds(config: TrainConfig, candles: Candles, *, folds: int, window: Window) -> Plan:
    """Cut the time after the first validation part into test blocks.

    Args:
        config: Its split is the first fold's.
        candles: Tell which days are sessions; nothing else of them is used.
        folds: Test blocks.
        window: ``expanding`` or ``rolling``.

    Raises:
        ConfigError: for fewer than two folds or too many.
        DataError: when a block would be too short to be tested on; the message says how many fit.
    """
    if not 2 <= folds <= MOST_FOLDS:  # noqa: PLR2004 - one fold is a training run
        raise ConfigError(f"a walk-forward has 2 to {MOST_FOLDS} folds, got {folds}")
    days = sessions(candles)
    first_train, first_test = (
        int(np.searchsorted(days, np.datetime64(border, "ns")))
        for border in (config.split.train_until, config.split.validation_until)
    )
    longest = max(config.horizons + config.evaluation.horizons)
    least = config.split.embargo_bars + longest + _LEAST_SCORED
    left = len(days) - first_test
    if left // folds < least:
        raise DataError(
            f"{folds} folds leave {left // folds} sessions each after {config.split.validation_until} (the "
            f"data end {iso(days[-1])}); one needs {least}: an embargo of {config.split.embargo_bars}, a "
            f"horizon of {longest} and {_LEAST_SCORED} to score; at most {left // least} folds fit"
        )
    borders = [first_test + left * k // folds for k in range(folds + 1)]
    made = []
    for number, (test, end) in enumerate(pairwise(borders), start=1):
        train = test - (first_test - first_train)
        rolled = train - first_train
        made.append(
            Fold(
                number=number,
                start=_day(days, rolled) if window == "rolling" and rolled else config.data.start,
                train_until=_day(days, train) or config.split.train_until,
                validation_until=_day(days, test) or config.split.validation_until,
                test_until=_day(days, end),
                data_until=_day(days, end + longest) or config.data.end,
            )
        )
    # The preset's own words for the first fold, be they sessions or not.
    made[0] = made[0].model_copy(
        update={
            "start": config.data.start,
            "train_until": config.split.train_until,
            "validation_until": config.split.validation_until,
        }
    )
    return Plan(window=window, config=config, folds=tuple(made))


def _day(days: Days, row: int) -> date | None:
    return date.fromisoformat(iso(days[row])[:10]) if 0 <= row < len(days) else None


def claim_plan(plan: Plan, folder: Path) -> None:
    """Write a plan into its folder, or make sure that the one there is the same: folds may begin together.

    Raises:
        RunError: when the folder holds another plan or cannot be written to.
    """
    ensure_writable_folder(folder)
    path = folder / PLAN_FILE
    if not path.exists():
        write_json(path, plan.model_dump(mode="json"))
        return
    begun = read_plan(folder)
    if begun != plan:
        names = [
            name for name in ("window", "config", "folds") if getattr(begun, name) != getattr(plan, name)
        ]
        raise RunError(
            f"{folder} was begun with another {', '.join(names)} (see {path}); go on with the same, or "
            "choose another folder"
        )


def read_plan(folder: Path) -> Plan:
    """Read a walk-forward's plan.

    Raises:
        RunError: when the folder holds none.
    """
    path = folder / PLAN_FILE
    if not path.is_file():
        raise RunError(f"{folder} is not a walk-forward: it has no {PLAN_FILE}")
    values = read_json(path)
    return load_config(Plan, values if isinstance(values, Mapping) else {}, where=str(path))


def fold_folder(folder: Path, number: int) -> Path:
    """Return where a fold's run lies."""
    return folder / f"fold-{number:02d}"
