"""What a symbol may look like. Symbols are untrusted input: they reach paths, SQL and HTML."""

from __future__ import annotations

import re
from enum import StrEnum

from marketgpt_core.errors import ConfigError, DataError, hint

# Yahoo's alphabet: AAPL, BRK-B, ^GSPC, GC=F, EURUSD=X, 7203.T, BTC-USD, M&M.NS
_SYMBOL = re.compile(r"[A-Za-z0-9^][A-Za-z0-9.^=&_-]{0,31}")


class Category(StrEnum):
    """Market a symbol belongs to."""

    US = "us"
    EU = "eu"
    EM = "em"
    COMMODITY = "commodity"
    CRYPTO = "crypto"
    FX = "fx"
    ETF = "etf"
    INDEX = "index"
    UNKNOWN = "unknown"

    @classmethod
    def parse(cls, text: str) -> Category:
        """Turn ``"us"`` into a category.

        Raises:
            ConfigError: for a text outside the vocabulary.
        """
        try:
            return cls(text)
        except ValueError:
            raise ConfigError(f"unknown category {text!r}; {hint(text, list(cls))}") from None


def check_symbol(symbol: str, *, where: str = "") -> str:
    """Return the symbol if it is one, else refuse it.

    Args:
        symbol: 1 to 32 characters: letters, digits and ``. ^ = & _ -``, no ``..``.
        where: Where it came from, for the message.

    Raises:
        DataError: when it is not a symbol.
    """
    if not _SYMBOL.fullmatch(symbol) or ".." in symbol:
        origin = f" (from {where})" if where else ""
        raise DataError(
            f"{symbol[:40]!r} is not a symbol{origin}: "
            "1 to 32 letters, digits or . ^ = & _ -, no '..', none of . = & _ - first"
        )
    return symbol
