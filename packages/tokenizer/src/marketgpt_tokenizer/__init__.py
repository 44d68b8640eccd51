"""Tokenizers: OHLC candles to tokens, and every token tuple back to a legal candle.

Importing this module loads neither numpy nor pandas; the names below are imported when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marketgpt_tokenizer.base import Tokenizer
    from marketgpt_tokenizer.ohlc import OHLCTokenizer
    from marketgpt_tokenizer.registry import tokenizers

_HOME = {"OHLCTokenizer": "ohlc", "Tokenizer": "base", "tokenizers": "registry"}

__all__ = ["OHLCTokenizer", "Tokenizer", "tokenizers"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
