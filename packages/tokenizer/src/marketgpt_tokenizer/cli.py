"""``marketgpt tokenizer``."""

from __future__ import annotations

import click


@click.group()
def tokenizer() -> None:
    """Fit a tokenizer on candles, or look into one."""
