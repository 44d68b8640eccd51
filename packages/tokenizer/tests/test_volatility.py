"""The causal scale: its formula, the agreement of batch and steps, the prior, floor and ceiling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketgpt_core.variance import candle_variance
from marketgpt_tokenizer.volatility import CausalVolatility


def volatility(**changes: float) -> CausalVolatility:
    options = {
        "prior_variance": 4e-4,
        "fast_half_life_bars": 20.0,
        "slow_half_life_bars": 250.0,
        "warmup_bars": 60,
        "sigma_floor": 1e-5,
        "sigma_ceiling": 1.0,
    }
    return CausalVolatility(**(options | changes))


def test_on_a_random_walk_sigma_is_the_true_one() -> None:
    # 400 fine steps a candle, no gap: the proxy is unbiased, so its mean is the variance of the candle.
    rng = np.random.default_rng(3)
    path = np.cumsum(rng.normal(0.0, 0.02 / np.sqrt(400), (4_000, 400)), axis=1)
    body, high, low = path[:, -1], np.maximum(path.max(axis=1), 0), np.minimum(path.min(axis=1), 0)
    up, low_wick = high - np.maximum(body, 0), np.minimum(body, 0) - low
    variance = candle_variance(np.zeros(4_000), body, up, low_wick)
    assert np.sqrt(variance.mean()) == pytest.approx(0.02, rel=0.03)
    sigma = volatility().scales(variance)[0]
    assert np.median(sigma[500:]) == pytest.approx(0.02, rel=0.05)


def test_the_average_is_the_normalised_exponential_one() -> None:
    variance = np.random.default_rng(0).exponential(1e-4, 200)
    weights = 0.5 ** (np.arange(200)[::-1] / 20.0)
    fast, _ = volatility().averages(variance)
    assert fast[-1] == pytest.approx(np.sum(weights * variance) / weights.sum(), rel=1e-12)


@given(
    variances=st.lists(st.floats(0.0, 10.0), min_size=1, max_size=150),
    fast=st.floats(0.5, 500.0),
    slow=st.floats(0.5, 5000.0),
)
def test_stepping_agrees_with_the_whole_series(variances: list[float], fast: float, slow: float) -> None:
    one = volatility(fast_half_life_bars=fast, slow_half_life_bars=slow)
    values = np.array(variances)
    _, next_sigma, slow_sigma = one.scales(values)
    state = one.begin_at(values, np.array([0]))
    for row, value in enumerate(values):
        state = one.advance(state, np.array([value]))
        assert one.scale(state.fast, state.count)[0] == pytest.approx(next_sigma[row], rel=1e-12)
        assert one.scale(state.slow, state.count)[0] == pytest.approx(slow_sigma[row], rel=1e-12)
    whole = one.begin_at(values, np.array([len(values)]))
    assert whole.count.tolist() == state.count.tolist() == [len(values)]
    assert whole.fast[0] == pytest.approx(state.fast[0], rel=1e-12)


def test_stepping_agrees_after_years() -> None:
    values = np.random.default_rng(1).pareto(3.0, 5_000) * 1e-4
    one = volatility()
    _, next_sigma, slow_sigma = one.scales(values)
    state = one.begin_at(values, np.array([10]))
    for value in values[10:]:
        state = one.advance(state, np.array([value]))
    assert one.scale(state.fast, state.count)[0] == pytest.approx(next_sigma[-1], rel=1e-12)
    assert one.scale(state.slow, state.count)[0] == pytest.approx(slow_sigma[-1], rel=1e-12)


def test_the_prior_fades_over_the_warmup() -> None:
    # Every candle has the variance 1e-4, the prior is 4e-4: the blend is known.
    _, next_sigma, _ = volatility().scales(np.full(100, 1e-4))
    sigma = volatility().scales(np.full(100, 1e-4))[0]
    assert sigma[0] == pytest.approx(0.02)
    assert next_sigma[29] ** 2 == pytest.approx(0.5 * 1e-4 + 0.5 * 4e-4)
    assert next_sigma[59] == pytest.approx(0.01)
    assert next_sigma[-1] == pytest.approx(0.01)


def test_floor_and_ceiling() -> None:
    flat = volatility().scales(np.zeros(100))[1]
    wild = volatility().scales(np.full(100, 1e5))[1]
    assert flat[-1] == pytest.approx(1e-5)
    assert wild.max() == 1.0


def test_sigma_of_a_candle_does_not_see_it() -> None:
    calm = np.full(100, 1e-4)
    shock = calm.copy()
    shock[70] = 1.0
    before, after = volatility().scales(calm), volatility().scales(shock)
    assert np.array_equal(before[0][:71], after[0][:71])
    assert after[0][71] > 5 * before[0][71]
    assert np.array_equal(before[1][:70], after[1][:70])
    assert after[1][70] > before[1][70]
