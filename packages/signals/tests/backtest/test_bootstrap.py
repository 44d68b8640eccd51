from __future__ import annotations

import numpy as np
import pytest

from marketgpt_signals.backtest.bootstrap import bootstrap_interval, stationary_indices


def mean(values: np.ndarray) -> float:
    return float(values.mean())


def interval(values, mean_block, statistic=mean, num_resamples=500):
    return bootstrap_interval(
        values, statistic, mean_block=mean_block, num_resamples=num_resamples, level=0.9, seed=1
    )


@pytest.mark.parametrize("mean_block", [1, 5, 20])
def test_blocks_run_on_and_have_the_length_asked_for(mean_block):
    rows = stationary_indices(200_000, mean_block, np.random.default_rng(0))
    assert rows.min() >= 0
    assert rows.max() < 200_000
    continues = np.diff(rows) % 200_000 == 1
    assert 1 / (1 - continues.mean()) == pytest.approx(mean_block, rel=0.02)


def test_the_interval_covers_the_truth_about_nine_times_in_ten():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(100):
        low, high = interval(rng.normal(0.1, 1.0, 200), 1, num_resamples=200)
        hits += low <= 0.1 <= high
    assert 78 <= hits <= 99  # 90 expected, with a standard deviation of 3


def test_dependence_widens_the_interval_only_if_blocks_can_hold_it():
    rng = np.random.default_rng(0)
    shocks = rng.normal(size=2_000)
    dependent = np.convolve(shocks, np.ones(10) / 10, mode="valid")
    widths = [np.diff(interval(dependent, block))[0] for block in (1, 40)]
    assert widths[1] > 2.2 * widths[0]  # ten equal weights: the square root of ten, were blocks endless


def test_same_seed_same_interval_and_none_without_a_statistic():
    values = np.random.default_rng(0).normal(size=100)
    assert interval(values, 3) == interval(values, 3)
    assert interval(values, 3, statistic=lambda _: None) is None
