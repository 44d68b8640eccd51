"""Tokenizers: OHLC candles to tokens, and every token tuple back to a legal candle.

Importing this module loads neither numpy nor pandas; the names below are imported when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt_tokenizer.base import Tokenizer
    from marketgpt_tokenizer.multitask import MultiTaskTokenizer
    from marketgpt_tokenizer.ohlc import OHLCTokenizer
    from marketgpt_tokenizer.registry import tokenizers

_HOME = {
    "MultiTaskTokenizer": "multitask",
    "OHLCTokenizer": "ohlc",
    "Tokenizer": "base",
    "tokenizers": "registry",
}

__all__ = ["MultiTaskTokenizer", "OHLCTokenizer", "Tokenizer", "tokenizers"]

__getattr__, __dir__ = lazy_front(__name__, _HOME)
