"""Monte Carlo dropout passes: each holds one mask, one thinned network, one opinion."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from marketgpt_models.layers import HeldDropout


@contextmanager
def held_pass(module: nn.Module, *, seed: int, number: int, num_passes: int) -> Iterator[None]:
    """Hold the masks of pass ``number`` while the block runs; a single pass drops nothing.

    Args:
        module: In evaluation mode.
        seed: Decides all passes' masks.
        number: Which pass, from 0.
        num_passes: How many there are.
    """
    layers = [one for one in module.modules() if isinstance(one, HeldDropout) and one.rate > 0]
    generator = torch.Generator().manual_seed((seed * 1_000_003 + number) % 2**63)
    try:
        if num_passes > 1:
            for layer in layers:
                layer.hold(generator)
        yield
    finally:
        for layer in layers:
            layer.release()
