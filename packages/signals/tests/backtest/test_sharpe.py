from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from marketgpt_core.errors import DataError
from marketgpt_signals.backtest.sharpe import (
    SharpeMoments,
    deflated_sharpe,
    expected_best,
    probabilistic_sharpe,
)


def test_moments_are_scipys():
    returns = np.random.default_rng(0).gamma(2.0, 0.01, 500) - 0.015
    found = SharpeMoments.of(returns)
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1))
    assert found.skewness == pytest.approx(stats.skew(returns))
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns, fisher=False))
    assert SharpeMoments.of(np.zeros(10)) is None
    assert SharpeMoments.of(returns[:2]) is None


def test_the_papers_example():
    """Bailey and Lopez de Prado 2014, numerical example: 100 trials over five years of days, the best with an
    annual ratio of 2.5, variance of the annual ratios 1/2, skewness -3, kurtosis 10: 90% after deflation."""
    spread = math.sqrt(0.5 / 250)
    assert expected_best(100, spread) == pytest.approx(0.1132, abs=1e-4)
    moments = SharpeMoments(2.5 / math.sqrt(250), 1_250, -3.0, 10.0)
    assert probabilistic_sharpe(moments, expected_best(100, spread)) == pytest.approx(0.9004, abs=1e-4)


def test_probability_of_no_skill_is_uniform():
    rng = np.random.default_rng(0)
    drawn = [probabilistic_sharpe(SharpeMoments.of(rng.normal(0, 0.01, 500))) for _ in range(1_000)]
    assert stats.kstest(drawn, "uniform").pvalue > 0.01


def test_the_expected_best_is_the_mean_of_the_best():
    best = np.random.default_rng(0).normal(0, 0.06, (4_000, 50)).max(axis=1)
    assert expected_best(50, 0.06) == pytest.approx(best.mean(), rel=0.02)
    assert expected_best(1, 0.06) == 0.0


@pytest.mark.parametrize("num_trials", [1, 5, 50])
def test_the_best_of_noise_is_not_taken_for_skill(num_trials):
    rng = np.random.default_rng(1)
    found, naive = [], []
    for _ in range(400):
        returns = rng.normal(0, 0.01, (num_trials, 250))
        ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
        chosen = SharpeMoments.of(returns[ratios.argmax()])
        found.append(deflated_sharpe(chosen, ratios.tolist()).probability)
        naive.append(probabilistic_sharpe(chosen))
    assert np.mean(np.array(found) > 0.95) < 0.08
    assert 0.4 < np.median(found) < 0.6
    if num_trials == 50:
        assert np.mean(np.array(naive) > 0.95) > 0.8  # without deflation nearly every one is a discovery


def test_skill_survives_deflation():
    rng = np.random.default_rng(2)
    returns = rng.normal(0, 0.01, (50, 1_250))
    returns[7] += 0.002
    ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1)
    found = deflated_sharpe(SharpeMoments.of(returns[7]), ratios.tolist())
    assert found.probability > 0.95
    assert found.num_trials == 50


def test_what_is_no_trial_is_refused():
    moments = SharpeMoments(0.1, 100, 0.0, 3.0)
    with pytest.raises(DataError, match="at least 1 trial, got 0"):
        deflated_sharpe(moments, [])
    with pytest.raises(DataError, match="must be finite"):
        deflated_sharpe(moments, [0.1, math.nan])
