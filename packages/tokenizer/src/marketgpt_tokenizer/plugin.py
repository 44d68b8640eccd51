"""Our own tokenizers, registered the way a third party registers his."""

from __future__ import annotations

from marketgpt_core.plugins import hookimpl


@hookimpl
def marketgpt_tokenizers() -> dict[str, str]:
    """Return the tokenizers of this package."""
    return {
        "multitask": "marketgpt_tokenizer.multitask:MultiTaskTokenizer",
        "ohlc": "marketgpt_tokenizer.ohlc:OHLCTokenizer",
    }
