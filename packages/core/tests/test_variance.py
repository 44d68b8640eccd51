import numpy as np
import pytest

from marketgpt_core.testing import make_candles
from marketgpt_core.variance import candle_variance, series_variance


def test_it_is_rogers_satchell_plus_gap_and_close_to_close():
    open_, high, low, close, before = 101.0, 104.0, 99.0, 100.0, 100.5
    u, d, c = np.log(high / open_), np.log(low / open_), np.log(close / open_)
    gap = np.log(open_ / before)
    expected = 0.5 * (u * (u - c) + d * (d - c) + gap**2) + 0.5 * np.log(close / before) ** 2
    body, up, low_wick = c, np.log(high / max(open_, close)), np.log(min(open_, close) / low)
    channels = (np.array([value]) for value in (gap, body, up, low_wick))
    assert candle_variance(*channels)[0] == pytest.approx(expected, rel=1e-12)


def test_a_series_has_one_a_candle_but_the_first():
    one = make_candles(("AAA",), num_candles=500, daily_volatility=0.02)["AAA"]
    variance = series_variance(one)
    assert variance.shape == (499,)
    assert (variance >= 0).all()
    squared = np.diff(np.log(one.close)) ** 2
    # Less noisy than the squared return, and of its size.
    assert variance.mean() == pytest.approx(squared.mean(), rel=0.35)
    assert variance.std() < squared.std()
