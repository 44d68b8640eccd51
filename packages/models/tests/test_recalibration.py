from statistics import NormalDist

import numpy as np
import pytest

from marketgpt_core.errors import RunError
from marketgpt_core.forecast import QUANTILE_LEVELS, Forecast
from marketgpt_models.recalibration import Recalibration

LEVELS = np.array(QUANTILE_LEVELS)
PPF = np.array([NormalDist().inv_cdf(level) for level in LEVELS])


def normal(sd, *, mean=0.0, dates=300, per_date=20, horizons=(1, 5)):
    n = dates * per_date
    days = np.datetime64("2015-01-01", "ns") + np.arange(dates) * np.timedelta64(2, "D")
    scale = sd * np.sqrt(np.array(horizons))
    quantiles = mean + scale[:, None] * PPF
    return Forecast(
        symbols=tuple(f"S{i % per_date}" for i in range(n)),
        as_of=np.repeat(days, per_date),
        close=np.ones(n),
        horizons=np.array(horizons),
        levels=LEVELS,
        quantiles=np.broadcast_to(quantiles, (n, *quantiles.shape)).copy(),
        p_up=np.full((n, len(horizons)), NormalDist().cdf(mean / sd)),
        aleatoric=np.broadcast_to(scale, (n, len(horizons))).copy(),
        epistemic=np.zeros((n, len(horizons))),
    )


def outcomes(forecast, sd, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(len(forecast), len(forecast.horizons))) * sd * np.sqrt(forecast.horizons)


@pytest.mark.parametrize("wrong", [0.8, 1.25])
def test_a_wrong_spread_is_found_and_put_right(wrong):
    said = normal(0.01 * wrong)
    fitted = Recalibration.fit(said, outcomes(said, 0.01), ["us"] * len(said), mix="heads")
    for h in (1, 5):
        # Some of the way: 300 dates, or 120 independent ones, against a belief worth 20.
        assert fitted.spreads["us"][h] == pytest.approx(1 / wrong, rel=0.06)
    right = fitted.apply(said, ["us"] * len(said))
    np.testing.assert_allclose(right.quantiles[0, 0], 0.01 * PPF, rtol=0.05, atol=1e-4)


def test_a_right_spread_stays():
    said = normal(0.01)
    fitted = Recalibration.fit(said, outcomes(said, 0.01), ["us"] * len(said), mix="heads")
    assert fitted.spreads["us"][1] == pytest.approx(1.0, abs=0.02)


def test_the_tails_decide_no_more_than_crps_lets_them():
    """Levels are dense in the tails; of a law with thinner tails than the truth, CRPS finds the factor."""
    said = normal(0.01, dates=1500)
    came = np.random.default_rng(3).standard_t(3, size=(len(said), 2)) * 0.01 / np.sqrt(3)
    fitted = Recalibration.fit(said, came, ["us"] * len(said), mix="heads")
    grid = np.linspace(0.7, 1.2, 101)
    crps = [_crps_normal(came[:, 0], 0.01 * factor).mean() for factor in grid]
    assert fitted.spreads["us"][1] == pytest.approx(grid[np.argmin(crps)], abs=0.012)


def _crps_normal(outcome, sd):
    """In closed form (Gneiting and Raftery 2007, equation 21)."""
    z = outcome / sd
    density = np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)
    below = np.array([NormalDist().cdf(one) for one in z])
    return sd * (z * (2 * below - 1) + 2 * density - 1 / np.sqrt(np.pi))


def test_few_dates_hardly_move_it():
    said = normal(0.01, dates=5, per_date=200)
    fitted = Recalibration.fit(said, outcomes(said, 0.02), ["us"] * len(said), mix="heads")
    assert 1.0 < fitted.spreads["us"][1] < 1.25
    assert fitted.spreads["us"][5] < fitted.spreads["us"][1]


def test_p_up_follows_the_law():
    said = normal(0.02, mean=0.01, horizons=(1,))
    halved = Recalibration("heads", {"all": {1: 0.5}}).apply(said, ["us"] * len(said))
    assert said.p_up[0, 0] == pytest.approx(NormalDist().cdf(0.5))
    assert halved.p_up[0, 0] == pytest.approx(NormalDist().cdf(1.0), abs=0.01)
    np.testing.assert_allclose(halved.quantile(0.5), said.quantile(0.5))


def test_a_category_or_horizon_never_seen_takes_what_is_nearest():
    fitted = Recalibration("heads", {"all": {1: 0.9, 21: 1.1}, "us": {1: 0.8}})
    assert fitted.factors([1, 5, 42], ["us", "eu"]).tolist() == [[0.8, 0.8, 0.8], [0.9, 1.1, 1.1]] or (
        fitted.factors([1, 4, 42], ["us", "eu"]).tolist() == [[0.8, 0.8, 0.8], [0.9, 0.9, 1.1]]
    )
    assert Recalibration("heads", {}).factors([1], ["us"]).tolist() == [[1.0]]


def test_json_gives_it_back():
    fitted = Recalibration("heads", {"all": {1: 0.97, 21: 1.01}})
    assert Recalibration.from_json(fitted.to_json(), where="x") == fitted


@pytest.mark.parametrize(
    "content",
    [
        None,
        [],
        {"mix": "heads"},
        {"mix": "heads", "spreads": {"us": {"a": 1.0}}},
        {"mix": "heads", "spreads": {"us": {"1": 50.0}}},
        {"mix": "heads", "spreads": {"us": {"1": float("nan")}}},
        {"mix": "heads", "spreads": {"us": {"0": 1.0}}},
    ],
)
def test_what_is_none_is_refused_in_one_line(content):
    with pytest.raises(RunError, match=r"forecaster\.json") as caught:
        Recalibration.from_json(content, where="forecaster.json")
    assert "\n" not in str(caught.value)
