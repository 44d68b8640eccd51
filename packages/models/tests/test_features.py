import numpy as np
import pytest

from marketgpt_core.testing import make_candles
from marketgpt_models.features import CONTINUOUS, continuous_names, features_of


@pytest.fixture(scope="module")
def series(candles, tokenizer):
    return tokenizer.encode(candles["AAA"])


@pytest.fixture(scope="module")
def features(series):
    return features_of(series, (1, 3))


def test_shapes_and_types(features):
    t = len(features)
    assert t == 159
    kinds = {
        "tokens": ((t, 4), np.int64),
        "continuous": ((t, len(CONTINUOUS)), np.float32),
        "calendar": ((t, 5), np.int64),
        "horizon_z": ((t, 2), np.float32),
    }
    for name, (shape, dtype) in kinds.items():
        values = getattr(features, name)
        assert (values.shape, values.dtype) == (shape, dtype), name


def test_rows_use_no_later_candle(candles, tokenizer, features):
    cut = features_of(tokenizer.encode(candles["AAA"][:100]), (1, 3))
    for name in ("tokens", "continuous", "calendar", "next_sigma", "close"):
        assert np.array_equal(getattr(cut, name), getattr(features, name)[:99]), name
    assert np.isnan(cut.horizon_z[-1]).all()
    assert np.isnan(cut.horizon_z[-3:, 1]).all()


def test_horizon_z_is_the_scaled_return(series, features):
    t = 40
    expected = np.log(series.close[t + 3] / series.close[t]) / (series.next_sigma[t] * np.sqrt(3))
    assert features.horizon_z[t, 1] == pytest.approx(expected, rel=1e-6)


def test_a_horizon_beyond_the_series_has_no_target(series):
    assert np.isnan(features_of(series, (500,)).horizon_z).all()


def test_continuous_inputs_are_of_order_one(features):
    assert np.abs(features.continuous).max() <= 8.0
    assert np.isfinite(features.continuous).all()
    log_sigma = features.continuous[:, CONTINUOUS.index("log_sigma")]
    np.testing.assert_allclose(log_sigma, (np.log(features.next_sigma) + 4.3) / 0.7, rtol=1e-5)


def test_names_follow_the_channels():
    assert continuous_names(("a",)) == ("a", "log_sigma", "log_sigma_to_slow", "log_sigma_step")
    assert len(CONTINUOUS) == 7


def test_other_volatility_reaches_the_inputs(tokenizer):
    calm, wild = (
        features_of(tokenizer.encode(make_candles(("X",), num_candles=200, daily_volatility=v)["X"]), ())
        for v in (0.005, 0.05)
    )
    position = CONTINUOUS.index("log_sigma")
    assert calm.continuous[-1, position] < -1 < 1 < wild.continuous[-1, position]
