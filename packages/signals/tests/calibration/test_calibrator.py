from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.testing import make_forecast
from marketgpt_signals.calibration.calibrator import Calibration, CalibrationConfig, fit
from marketgpt_signals.calibration.curves import GRID, METHODS, fit_curve, read_curve
from marketgpt_signals.calibration.samples import Samples, independent_dates, market_of
from marketgpt_signals.calibration.walk import compare, reliability, walk_forward

DAY = np.timedelta64(1, "D")
HORIZON = 5


def logit(p):
    return np.log(p / (1 - p))


def forecaster(said, *, num_dates: int = 1_500, symbols: int = 4, seed: int = 0) -> Samples:
    """Outcomes of a known probability, and what a forecaster says instead: ``said(true logit)``.

    Outcomes of one date and of overlapping ones are independent here; dates are consecutive days.
    """
    rng = np.random.default_rng(seed)
    as_of = np.datetime64("2012-01-02", "ns") + np.repeat(np.arange(num_dates), symbols) * DAY
    true = rng.normal(0, 0.6, len(as_of))
    stated = 1 / (1 + np.exp(-said(true)))
    up = rng.random(len(as_of)) < 1 / (1 + np.exp(-true))
    n = len(as_of)
    horizon = np.full(n, HORIZON)
    return Samples(np.full(n, "plain"), horizon, as_of, as_of + (HORIZON + 1) * DAY, stated, up)


CONFIG = CalibrationConfig()
MISCALIBRATED = {"boastful": lambda x: 3 * x, "bullish": lambda x: x + 1.0, "timid": lambda x: x / 4}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("wrong", MISCALIBRATED)
def test_a_miscalibrated_forecaster_is_put_right_out_of_sample(method, wrong):
    samples = forecaster(MISCALIBRATED[wrong])
    config = CalibrationConfig(method=method)
    (worth,) = compare(samples, walk_forward(samples, config, refit_dates=100), num_resamples=100)
    assert worth.num_samples > 4_000
    assert worth.after.ece < 0.5 * worth.before.ece
    assert worth.after.log_loss < worth.before.log_loss
    assert worth.gain_interval[0] > 0


@pytest.mark.parametrize("method", METHODS)
def test_a_calibrated_forecaster_is_left(method):
    """Not worse beyond chance: over seeds its ECE moves by less than a sample of outcomes moves it."""
    before, after = [], []
    for seed in range(6):
        samples = forecaster(lambda x: x, num_dates=700, seed=seed)
        config = CalibrationConfig(method=method)
        (worth,) = compare(samples, walk_forward(samples, config, refit_dates=100), num_resamples=0)
        before.append(worth.before.ece)
        after.append(worth.after.ece)
        assert worth.brier_gain > -0.002
    assert np.mean(after) < np.mean(before) + 0.01


def test_outcomes_after_the_as_of_change_nothing():
    samples = forecaster(MISCALIBRATED["boastful"], num_dates=600)
    until = samples.as_of[1_200]
    honest = fit(samples, until=until, model_id="m", config=CONFIG)
    late = samples.known_at > until
    assert late.sum() > 1_000
    planted = replace(samples, up=np.where(late, samples.p_up > 0.5, samples.up))
    assert fit(planted, until=until, model_id="m", config=CONFIG).fingerprint == honest.fingerprint
    gone = samples.rows(~late)
    assert fit(gone, until=until, model_id="m", config=CONFIG).fingerprint == honest.fingerprint
    # An outcome known then does change it.
    early = replace(samples, up=np.where(late, samples.up, ~samples.up))
    assert fit(early, until=until, model_id="m", config=CONFIG).fingerprint != honest.fingerprint


def test_walking_forward_knows_no_later_outcome():
    samples = forecaster(MISCALIBRATED["boastful"], num_dates=400)
    honest = walk_forward(samples, CONFIG, refit_dates=50)
    border = samples.as_of[1_000]
    planted = replace(samples, up=np.where(samples.known_at > border, samples.p_up > 0.5, samples.up))
    again = walk_forward(planted, CONFIG, refit_dates=50)
    past = samples.as_of <= border
    np.testing.assert_array_equal(again[past], honest[past])
    assert not np.array_equal(again, honest, equal_nan=True)


def test_few_dates_leave_the_identity_and_more_weigh_more():
    samples = forecaster(MISCALIBRATED["bullish"], num_dates=800, symbols=20)
    weights = []
    for num_dates in (100, 300, 800):
        some = samples.rows(np.arange(len(samples)) < 20 * num_dates)
        (group,) = fit(some, until="2030-01-01", model_id="m", config=CONFIG).groups
        weights.append(group.weight)
        assert group.num_dates == independent_dates(some) == -(-num_dates // (HORIZON + 1))
        # Twenty assets a date are many rows, but no more dates.
        assert group.num_samples == 20 * num_dates
    assert weights[0] == 0.0
    assert weights[1] == pytest.approx(50 / 100)
    assert weights[1] < weights[2] < 1
    (few,) = fit(samples.rows(np.arange(2_000)), until="2030-01-01", model_id="m", config=CONFIG).groups
    np.testing.assert_allclose(few.curve, GRID)


@pytest.mark.parametrize("method", METHODS)
def test_curves_rise_also_where_the_forecaster_is_wrong_way_round(method):
    samples = forecaster(lambda x: -x)
    curve = fit_curve(samples.p_up, samples.up, method)
    assert (np.diff(curve) >= 0).all()
    assert np.ptp(curve[5:95]) < 0.08
    assert read_curve(curve, np.array([[0.0, 1.0]])).shape == (1, 2)


def test_platt_finds_the_law():
    samples = forecaster(lambda x: 2 * x + 0.5, num_dates=5_000)
    curve = fit_curve(samples.p_up, samples.up, "platt")
    p = np.array([0.2, 0.5, 0.8])
    expected = 1 / (1 + np.exp(-(logit(p) - 0.5) / 2))
    np.testing.assert_allclose(read_curve(curve, p), expected, atol=0.02)


def test_reliability_by_hand():
    measured = reliability(np.array([0.2, 0.2, 0.8, 0.8]), np.array([False, True, True, True]), num_bins=2)
    assert measured.ece == pytest.approx(0.5 * (0.3 + 0.2))
    assert measured.brier == pytest.approx((0.04 + 0.64 + 0.04 + 0.04) / 4)


def test_it_is_stored_as_json_and_guarded(tmp_path):
    made = fit(forecaster(MISCALIBRATED["timid"]), until="2030-01-01", model_id="m", config=CONFIG)
    path = made.save(tmp_path / "c.json")
    assert Calibration.load(path) == made
    value = json.loads(path.read_text())
    value["groups"][0]["curve"][50] += 0.001
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match="was changed: its fingerprint"):
        Calibration.load(path)
    for broken in ("[]", "{}", '{"format": 2}', "{"):
        path.write_text(broken)
        with pytest.raises(DataError, match=r"is no calibration|is not JSON"):
            Calibration.load(path)
    value["groups"][0]["curve"] = value["groups"][0]["curve"][::-1]
    path.write_text(json.dumps(value))
    with pytest.raises(DataError, match="the curve of plain, 5 bars is none"):
        Calibration.load(path)


def test_it_is_used_on_later_forecasts_of_its_model_only():
    made = fit(
        forecaster(MISCALIBRATED["bullish"]), until="2030-01-01", model_id="random-walk", config=CONFIG
    )
    plain = make_forecast(["AAA", "BTC-USD"], as_of=["2016-06-01", "2016-06-02"], horizons=[5, 10])
    used = made.apply(plain)
    column, stocks = 0, [name == "AAA" for name in plain.symbols]
    assert (used.p_up[stocks, column] < plain.p_up[stocks, column] - 0.1).all()
    np.testing.assert_array_equal(used.p_up[:, 1], plain.p_up[:, 1])  # no curve for 10 bars
    np.testing.assert_array_equal(used.p_up[~np.array(stocks)], plain.p_up[~np.array(stocks)])
    np.testing.assert_array_equal(used.quantiles, plain.quantiles)
    assert used.model_id == f"random-walk+cal-{made.fingerprint[:12]}"
    with pytest.raises(DataError, match=r"would be put right by its own future: fit one with an earlier"):
        made.apply(make_forecast(["AAA"], as_of=["2016-01-04"], horizons=[5]))
    with pytest.raises(DataError, match="the calibration is of random-walk, the forecast of other"):
        made.apply(replace(plain, model_id="other"))


def test_markets_by_shape():
    symbols = ("AAPL", "BTC-USD", "EURUSD=X", "GC=F", "^GSPC", "SAP.DE", "TCS.NS")
    assert [market_of(symbol) for symbol in symbols] == [
        "plain", "crypto", "fx", "commodity", "index", "eu", "em",
    ]  # fmt: skip
