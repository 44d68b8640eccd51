"""The hook a plugin implements to add tokenizers; entry-point group ``marketgpt.tokenizers``."""

from __future__ import annotations

from collections.abc import Mapping

from marketgpt_core.plugins import hookspec


@hookspec
def marketgpt_tokenizers() -> Mapping[str, str]:
    """Return tokenizers by name: ``{"ohlc": "marketgpt_tokenizer.ohlc:OHLCTokenizer"}``.

    The name is also the ``kind`` in the tokenizer's file. The string keeps numpy out of start-up.
    """
    raise NotImplementedError  # a specification: pluggy never calls it
