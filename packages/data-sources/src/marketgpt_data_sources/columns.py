"""What the columns of a candle file mean, whoever named them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from marketgpt_core.candles import PRICES
from marketgpt_core.errors import DataError

# Names as `fold` leaves them, the preferred one first: a file with "Date" and "Unix" is read by its date.
TIME_NAMES = (
    "date",
    "time",
    "datetime",
    "date time",
    "timestamp",
    "open time",
    "opentime",
    "unix",
    "unix timestamp",
    "window start",
    "gmt time",
    "index level 0",  # pandas' name of an index without one, in Parquet
    "unnamed 0",  # and in CSV
)
_NAMES: Mapping[str, tuple[str, ...]] = {
    "time": TIME_NAMES,
    "symbol": ("symbol", "ticker", "tic", "name"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close", "close last", "price"),
    "adj_close": ("adj close", "adjclose", "adjusted close"),
    "volume": ("volume", "vol", "tickvol"),
    "category": ("category",),
    "interval": ("interval",),
}
# Of "Volume BTC" and "Volume USDT" the one of what is bought is meant: not the later of these in this order.
_QUOTES = ("currency", "usd", "usdt", "usdc", "busd", "tusd", "eur", "gbp", "jpy", "krw", "try", "btc", "eth")
_WORDS_OF_VOLUME = 2


@dataclass(frozen=True)
class Columns:
    """The columns of a candle file in long or one-symbol form.

    Attributes:
        actual: From our name (``symbol, time, clock, open, high, low, close, adj_close, volume, category,
            interval``) to the file's; only what the file has. ``clock`` is the column ``time`` beside a
            ``date``: the time of day.
    """

    actual: dict[str, str]

    def has(self, name: str) -> bool:
        """Whether the file has what we call ``name``."""
        return name in self.actual

    @property
    def renaming(self) -> dict[str, str]:
        """From the file's names to ours."""
        return {theirs: ours for ours, theirs in self.actual.items()}


def fold(name: object) -> str:
    """Return a column's name as it is looked up: ``<OPEN>``, ``Open*`` and `` open`` are ``open``."""
    return re.sub(r"[^a-z0-9]+", " ", str(name).casefold()).strip()


def is_time(name: object) -> bool:
    """Whether a column of this name holds dates."""
    return fold(name) in TIME_NAMES


def columns_of(names: Iterable[str], *, where: str) -> Columns | None:
    """Recognise the columns of a file.

    Args:
        names: The file's column names.
        where: The file, for messages.

    Returns:
        The columns, or None when none of open, high, low and close is there: not a file of candles.

    Raises:
        DataError: when only some of them are there, no date, or two columns of one meaning.
    """
    given = [str(name) for name in names]
    folded: dict[str, str] = {}
    for name in given:
        folded.setdefault(fold(name), name)
    if not any(price in folded for price in PRICES):
        return None
    actual: dict[str, str] = {}
    for ours, theirs in _NAMES.items():
        found = next((name for name in theirs if name in folded), None)
        if found is not None:
            actual[ours] = _only(found, given, where)
    missing = [price for price in PRICES if price not in actual]
    if missing:
        raise DataError(f"{where} lacks {', '.join(missing)}; it has {', '.join(given)}")
    if "time" not in actual:
        raise DataError(f"{where} has no column time, date, datetime or timestamp; it has {', '.join(given)}")
    if "date" in folded and "time" in folded:
        actual["clock"] = folded["time"]
    volume = _base_volume(folded)
    if "volume" not in actual and volume is not None:
        actual["volume"] = volume
    return Columns(actual)


def _only(name: str, given: list[str], where: str) -> str:
    same = [one for one in given if fold(one) == name]
    if len(same) > 1:
        raise DataError(f"{where} has several columns {name!r}: {', '.join(same)}")
    return same[0]


def _base_volume(folded: Mapping[str, str]) -> str | None:
    assets = {name.split()[1]: name for name in folded if name.startswith("volume ")}
    assets = {asset: name for asset, name in assets.items() if len(name.split()) == _WORDS_OF_VOLUME}
    if not assets:
        return None
    # The quote of a pair is its better-known money: BTC in ETH/BTC, USDT in BTC/USDT.
    base = max(assets, key=lambda asset: _QUOTES.index(asset) if asset in _QUOTES else len(_QUOTES))
    return folded[assets[base]]
