"""What is asked of a source for one symbol."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from marketgpt_core.times import iso, to_datetime64


@dataclass(frozen=True)
class Ask:
    """The range to ask for.

    Attributes:
        start: First stamp; None for as far back as there is.
        end: Stamp after the last; None for as late as there is.
        whole: Whether the answer is the whole history to be stored, not the end of it.
        since: From when on the store will claim to hold candles; None for as far back as there is.
    """

    start: datetime | None
    end: datetime | None
    whole: bool
    since: datetime | None

    def __str__(self) -> str:
        parts = [("from", self.start), ("until", self.end)]
        said = " ".join(f"{word} {iso(moment)}" for word, moment in parts if moment is not None)
        return said or "at any time"


def within(frame: pd.DataFrame, ask: Ask) -> pd.DataFrame:
    """Return the rows of a raw frame that were asked for, and those without a date: someone must see them."""
    time = frame["time"]
    outside = pd.Series(data=False, index=frame.index)
    if ask.start is not None:
        outside |= time < pd.Timestamp(to_datetime64(ask.start))
    if ask.end is not None:
        outside |= time >= pd.Timestamp(to_datetime64(ask.end))
    return frame[~outside] if outside.any() else frame
