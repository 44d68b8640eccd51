from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest

from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.forecast import QUANTILE_LEVELS, Forecast

LEVELS = np.array(QUANTILE_LEVELS)
PPF = np.array([NormalDist().inv_cdf(level) for level in LEVELS])


@pytest.fixture
def forecast():
    sd = np.array([0.01, 0.03])
    return Forecast(
        symbols=("AAA",),
        as_of=np.array(["2024-01-02"], dtype="datetime64[ns]"),
        close=np.array([50.0]),
        horizons=np.array([1, 3]),
        levels=LEVELS,
        quantiles=(sd[:, None] * PPF)[None],
        p_up=np.full((1, 2), 0.5),
        aleatoric=sd[None],
        epistemic=np.zeros((1, 2)),
        model_id="m",
    )


@pytest.mark.parametrize("level", [0.01, 0.025, 0.05, 0.2, 0.5])
def test_var_and_shortfall_are_the_normal_laws(forecast, level):
    normal = NormalDist()
    var = -normal.inv_cdf(level)
    shortfall = normal.pdf(var) / level
    np.testing.assert_allclose(forecast.value_at_risk(level)[0], var * np.array([0.01, 0.03]), atol=1e-12)
    np.testing.assert_allclose(
        forecast.expected_shortfall(level)[0], shortfall * np.array([0.01, 0.03]), rtol=0.015
    )


@pytest.mark.parametrize("level", [0.0, 0.0001, 0.6, 1.0])
def test_levels_that_are_no_risk_are_refused(forecast, level):
    for ask in (forecast.value_at_risk, forecast.expected_shortfall):
        with pytest.raises(ConfigError, match=r"from 0\.001 to 0\.5"):
            ask(level)


def test_odds_above_a_return(forecast):
    np.testing.assert_allclose(
        forecast.probability_above(0.01)[0],
        [1 - NormalDist().cdf(1.0), 1 - NormalDist().cdf(1 / 3)],
        atol=0.003,
    )


def test_a_touch_counts_highs_and_lows_and_remembers_them(forecast):
    highs = np.array([[[0.02, 0.0, 0.0], [0.0, 0.0, 0.02], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]])
    made = replace(forecast, paths=np.zeros((1, 4, 3)), path_highs=highs, path_lows=-2 * highs)
    assert made.probability_of_touch(0.02).tolist() == [[0.25, 0.5]]
    assert made.probability_of_touch(0.021).tolist() == [[0.0, 0.0]]
    assert made.probability_of_touch(-0.04).tolist() == [[0.25, 0.5]]
    assert made.probability_of_touch(-0.05).tolist() == [[0.0, 0.0]]


def test_a_touch_needs_paths(forecast):
    with pytest.raises(DataError, match="kept no paths"):
        forecast.probability_of_touch(0.01)
