"""What the tokens of one channel stand for, asked of any tokenizer through its contract."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.tokens import Tokenizer


def bin_values(tokenizer: Tokenizer, channel: int, levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the values of every token of a channel at some levels of the law inside its bin.

    Args:
        tokenizer: Fitted.
        channel: Number of the channel.
        levels: shape (L,), in [0, 1].

    Returns:
        shape (V, L), float64, in units of sigma.
    """
    size, channels = tokenizer.vocab_sizes[channel], len(tokenizer.vocab_sizes)
    tokens = np.zeros((size, len(levels), channels), dtype=np.int64)
    tokens[:, :, channel] = np.arange(size)[:, None]
    inside = np.zeros(tokens.shape)
    inside[:, :, channel] = levels
    return np.asarray(tokenizer.values(tokens, inside)[:, :, channel])
