"""Tokenizers by name."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from marketgpt_core.plugins import Registry

if TYPE_CHECKING:
    from marketgpt_tokenizer.base import Tokenizer


@cache
def tokenizers() -> Registry[Tokenizer]:
    """Return the registry of tokenizers."""
    return Registry(
        kind="tokenizer",
        group="marketgpt.tokenizers",
        specs="marketgpt_tokenizer.hookspecs",
        hook="marketgpt_tokenizers",
        base="marketgpt_tokenizer.base:Tokenizer",
        conformance="marketgpt_tokenizer.testing:TokenizerConformance",
    )
