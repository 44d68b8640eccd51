"""The learning rate of a step."""

from __future__ import annotations

import math

from marketgpt_training.config import OptimConfig


def learning_rate(step: int, total_steps: int, optim: OptimConfig) -> float:
    """Return the rate of step ``step`` (from 0): linear warm-up, then half a cosine to the minimum.

    Source: Loshchilov and Hutter, "SGDR", 2017, equation 5, without restarts.
    """
    if step < optim.warmup_steps:
        return optim.lr * (step + 1) / (optim.warmup_steps + 1)
    span = max(total_steps - 1 - optim.warmup_steps, 1)
    progress = min((step - optim.warmup_steps) / span, 1.0)
    floor = optim.lr * optim.min_lr_ratio
    return floor + 0.5 * (optim.lr - floor) * (1 + math.cos(math.pi * progress))
