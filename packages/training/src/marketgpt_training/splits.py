"""The temporal split: one set of dates for all symbols."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.times import iso
from marketgpt_training.config import SplitConfig, TrainConfig


@dataclass(frozen=True)
class Split:
    """Borders of the parts, datetime64[ns]; each part holds targets with start <= time < end.

    Attributes:
        train_end: First date not trained on.
        validation_start: First date validated on.
        validation_end: First date not validated on.
        test_start: First date tested on.
    """

    train_end: np.datetime64
    validation_start: np.datetime64
    validation_end: np.datetime64
    test_start: np.datetime64


def split_dates(config: SplitConfig, candles: Candles) -> Split:
    """Turn the configured dates into borders, the embargo counted in sessions.

    A split by each series' own length would leak: one symbol's training days would be another's test days.

    Raises:
        DataError: when a part has no candle; the message gives the data's range.
    """
    days = sessions(candles)
    train_end = np.datetime64(config.train_until, "ns")
    validation_end = np.datetime64(config.validation_until, "ns")
    split = Split(
        train_end=train_end,
        validation_start=_after(days, train_end, config.embargo_bars),
        validation_end=validation_end,
        test_start=_after(days, validation_end, config.embargo_bars),
    )
    parts = {
        "train": (days[0], split.train_end),
        "validation": (split.validation_start, split.validation_end),
        "test": (split.test_start, days[-1] + np.timedelta64(1, "ns")),
    }
    for name, (start, end) in parts.items():
        if not ((days >= start) & (days < end)).any():
            raise DataError(
                f"the {name} part is empty: the data run {iso(days[0])} to {iso(days[-1])}, the split has "
                f"train_until {config.train_until}, validation_until {config.validation_until}, "
                f"embargo_bars {config.embargo_bars}"
            )
    return split


def choosing_end(config: TrainConfig, split: Split, candles: Candles) -> np.datetime64:
    """Return where the validation part that chooses among weights ends.

    It is all of it, but in fine-tuning: there the end of the part decides whether the result is kept.

    Raises:
        DataError: when either share has no session.
    """
    if config.finetune is None:
        return split.validation_end
    days = sessions(candles)
    days = days[(days >= split.validation_start) & (days < split.validation_end)]
    kept = int(len(days) * (1.0 - config.finetune.accept_share))
    if not 0 < kept < len(days) - config.split.embargo_bars:
        raise DataError(
            f"validation has {len(days)} sessions: too few to choose weights, leave out "
            f"{config.split.embargo_bars} (split.embargo_bars) and decide on the last "
            f"{config.finetune.accept_share:.0%} (finetune.accept_share)"
        )
    return np.datetime64(days[kept])


def deciding_start(config: TrainConfig, split: Split, candles: Candles) -> np.datetime64:
    """Return the first as-of date that decides whether a fine-tuned model is kept, past an embargo."""
    return _after(sessions(candles), choosing_end(config, split, candles), config.split.embargo_bars)


def sessions(candles: Candles) -> np.ndarray:
    """Return every stamp that any symbol has a candle of, increasing, datetime64[ns]."""
    return np.unique(np.concatenate([one.time for one in candles.values()]))


def _after(days: np.ndarray, border: np.datetime64, sessions: int) -> np.datetime64:
    row = int(np.searchsorted(days, border)) + sessions
    one_past_the_end: np.datetime64 = days[-1] + np.timedelta64(1, "ns")
    return np.datetime64(days[row]) if row < len(days) else one_past_the_end
