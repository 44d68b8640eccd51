"""What the columns of a candle file mean, whoever named them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from marketgpt_core.candles import PRICES
from marketgpt_core.errors import DataError

# In order of preference: a file with both "date" and "timestamp" is read by its date.
TIME_NAMES = ("time", "date", "datetime", "timestamp", "__index_level_0__")
_SYMBOL_NAMES = ("symbol", "ticker")
_ADJUSTED_NAMES = ("adj close", "adj_close", "adjclose", "adjusted close", "adjusted_close")
_OTHERS = (*PRICES, "volume", "category", "interval")


@dataclass(frozen=True)
class Columns:
    """The columns of a candle file in long or one-symbol form.

    Attributes:
        actual: From our name (``symbol, time, open, high, low, close, adj_close, volume, category,
            interval``) to the file's; only what the file has.
    """

    actual: dict[str, str]

    def has(self, name: str) -> bool:
        """Whether the file has what we call ``name``."""
        return name in self.actual

    @property
    def renaming(self) -> dict[str, str]:
        """From the file's names to ours."""
        return {theirs: ours for ours, theirs in self.actual.items()}


def columns_of(names: Iterable[str], *, where: str) -> Columns | None:
    """Recognise the columns of a file.

    Args:
        names: The file's column names.
        where: The file, for messages.

    Returns:
        The columns, or None when none of open, high, low and close is there: not a file of candles.

    Raises:
        DataError: when only some of them are there, or no date.
    """
    folded: dict[str, str] = {}
    for name in names:
        folded.setdefault(str(name).strip().casefold(), str(name))
    missing = [price for price in PRICES if price not in folded]
    if len(missing) == len(PRICES):
        return None
    if missing:
        raise DataError(f"{where} lacks {', '.join(missing)}; it has {', '.join(folded.values())}")
    actual = {name: folded[name] for name in _OTHERS if name in folded}
    for ours, theirs in (("time", TIME_NAMES), ("symbol", _SYMBOL_NAMES), ("adj_close", _ADJUSTED_NAMES)):
        found = next((folded[name] for name in theirs if name in folded), None)
        if found is not None:
            actual[ours] = found
    if "time" not in actual:
        raise DataError(
            f"{where} has no column time, date, datetime or timestamp; it has {', '.join(folded)}"
        )
    return Columns(actual)
