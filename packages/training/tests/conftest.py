"""Shared: a tiny configuration and candles it can train on."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from marketgpt_core.candles import PRICES, Candles
from marketgpt_core.config import apply_overrides, load_config
from marketgpt_core.testing import make_candles
from marketgpt_training.config import TrainConfig

TINY = {
    "seed": 3,
    "horizons": [1, 5],
    "data": {"source": "synthetic"},
    "split": {"train_until": "2018-01-01", "validation_until": "2019-01-01", "embargo_bars": 5},
    "model": {
        "name": "market_gpt",
        "options": {"context": 32, "num_layers": 1, "dim": 16, "num_heads": 2, "dropout": 0.1},
    },
    "engine": {"name": "torch"},
    "optim": {"warmup_steps": 5},
    "loop": {"batch_size": 8, "max_epochs": 2},
    "evaluation": {"horizons": [1, 5], "every": 20, "num_samples": 40},
}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_config():
    def make(*overrides: str) -> TrainConfig:
        return load_config(TrainConfig, apply_overrides(TINY, overrides), where="the test")

    return make


@pytest.fixture(scope="session")
def tripled_from():
    """Return candles with every price from a border on three times as high: another future."""

    def tripled(candles: Candles, border: np.datetime64) -> Candles:
        return Candles(
            replace(
                one,
                **{
                    name: np.where(one.time >= border, 3 * getattr(one, name), getattr(one, name))
                    for name in PRICES
                },
            )
            for one in candles.values()
        )

    return tripled


@pytest.fixture(scope="session")
def candles():
    return make_candles(("AAA", "BBB", "CCC"), num_candles=1_400)


@pytest.fixture(scope="session")
def tiny_values():
    return TINY
