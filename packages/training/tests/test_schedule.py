from __future__ import annotations

import pytest

from marketgpt_training.config import OptimConfig
from marketgpt_training.schedule import learning_rate

OPTIM = OptimConfig(lr=1.0, min_lr_ratio=0.1, warmup_steps=4)


def test_warm_up_is_linear_and_starts_above_zero():
    assert [learning_rate(step, 100, OPTIM) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_cosine_runs_from_the_peak_to_the_minimum():
    assert learning_rate(4, 101, OPTIM) == pytest.approx(1.0)
    assert learning_rate(52, 101, OPTIM) == pytest.approx(0.55)
    assert learning_rate(100, 101, OPTIM) == pytest.approx(0.1)
    assert learning_rate(500, 101, OPTIM) == pytest.approx(0.1)
