"""What a symbol and a file name of a vendor stand for."""

from __future__ import annotations

import re
from dataclasses import dataclass

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import check_symbol

# Stooq's mark of New York: aapl.us, brk-b.us.
_STOOQ_US = re.compile(r"(.+)\.us", re.IGNORECASE)
# BTC-USD_1h, AAPL.1d, Binance's BTCUSDT-1h-2024-01, Kraken's XBTUSD_60 (minutes).
_FILE = re.compile(
    r"(?P<symbol>.+?)(?:[._-](?P<interval>1m|5m|1h|1d|1w)(?:-(?P<part>\d{4}-\d\d(?:-\d\d)?))?|_(?:1|5|60|1440))?"
)


def symbol_of(text: str) -> str:
    """Return the symbol a vendor's text stands for, unchecked: ``BTC/USDT`` is BTC-USDT, ``aapl.us`` AAPL.

    Everything else stays as it is.
    """
    stooq = _STOOQ_US.fullmatch(text)
    return (stooq[1].upper() if stooq else text).replace("/", "-")


@dataclass(frozen=True)
class FileName:
    """What the name of a file with one symbol says.

    Attributes:
        symbol: The symbol.
        interval: Length of a candle; None when the name says nothing.
        part: The month or day the file holds, as in ``2024-01``; None for a file that holds all.
    """

    symbol: str
    interval: Interval | None
    part: str | None


def read_file_name(stem: str, *, where: str) -> FileName:
    """Return what a file's name without its ending says.

    Args:
        stem: ``AAPL``, ``aapl.us``, ``BTC-USD_1h``, ``BTCUSDT-1h-2024-01``.
        where: The file, for messages.

    Raises:
        DataError: when what is left is not a symbol.
    """
    found = _FILE.fullmatch(stem)
    if found is None:  # an empty name, or one with a line break
        raise DataError(f"{stem[:40]!r} is not a symbol (from {where})")
    interval = None if found["interval"] is None else Interval.parse(found["interval"])
    return FileName(check_symbol(symbol_of(found["symbol"]), where=where), interval, found["part"])
