from __future__ import annotations

from fractions import Fraction
from math import isqrt

import numpy as np
import pandas as pd
import pytest

from marketgpt_core.errors import ConfigError
from marketgpt_signals.bands.classical import bollinger_bands, rolling_moments


def exactly(window: np.ndarray) -> tuple[float, float]:
    """Mean and population standard deviation in rational numbers, rounded once at the end."""
    values = [Fraction(float(value)) for value in window]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    scale = 10**60
    return float(mean), float(Fraction(isqrt(int(variance * scale * scale)), scale))


@pytest.mark.parametrize("offset", [0.0, 100.0, 1e9, 1e12])
@pytest.mark.parametrize("window", [2, 5, 20, 42])
def test_moments_are_those_of_exact_arithmetic_at_any_price(offset, window):
    values = offset + np.cumsum(np.random.default_rng(window).normal(0, 0.5, 300))
    mean, deviation = rolling_moments(values, window)
    assert np.isnan(mean[: window - 1]).all()
    for t in range(window - 1, 300, 7):
        exact_mean, exact_deviation = exactly(values[t - window + 1 : t + 1])
        assert mean[t] == pytest.approx(exact_mean, rel=1e-15)
        assert deviation[t] == pytest.approx(exact_deviation, rel=1e-12)


def test_running_sums_would_not_do():
    """What the formula is there for: sums of squares lose the move at 1e9."""
    values = 1e9 + np.cumsum(np.random.default_rng(0).normal(0, 0.5, 300))
    sums, squares = (np.convolve(x, np.ones(20), "valid") / 20 for x in (values, values**2))
    naive = np.sqrt(np.maximum(squares - sums**2, 0))
    ours = rolling_moments(values, 20)[1][19:]
    assert np.max(np.abs(naive / ours - 1)) > 0.1


def test_ordinary_prices_agree_with_pandas():
    close = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.01, 500)))
    bands, rolling = bollinger_bands(close, 20, 2.0), pd.Series(close).rolling(20)
    middle, deviation = rolling.mean().to_numpy(), rolling.std(ddof=0).to_numpy()
    np.testing.assert_allclose(bands.middle, middle, rtol=1e-12)
    np.testing.assert_allclose(bands.upper, middle + 2 * deviation, rtol=1e-9)
    np.testing.assert_allclose(bands.lower, middle - 2 * deviation, rtol=1e-9)


def test_a_bar_knows_nothing_later_and_a_chunk_ends_unseen(monkeypatch):
    close = 100 * np.exp(np.cumsum(np.random.default_rng(2).normal(0, 0.01, 200)))
    whole = bollinger_bands(close, 10)
    for t in (9, 50, 199):
        assert bollinger_bands(close[: t + 1], 10).upper[-1] == whole.upper[t]
    monkeypatch.setattr("marketgpt_signals.bands.classical._CHUNK", 7)
    np.testing.assert_array_equal(bollinger_bands(close, 10).upper, whole.upper)


def test_a_constant_price_has_no_width_and_short_series_no_band():
    bands = bollinger_bands(np.full(30, 0.1), 20)
    assert bands.upper[-1] == bands.lower[-1] == 0.1
    assert np.isnan(bollinger_bands(np.ones(19), 20).middle).all()
    with pytest.raises(ConfigError, match="at least 1 bar"):
        rolling_moments(np.ones(3), 0)
