from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.forecast import QUANTILE_LEVELS, Forecast
from marketgpt_core.testing import make_candles
from marketgpt_training.evaluation.baselines import (
    BASELINES,
    LABELS,
    ClosedLaw,
    baseline_forecast,
    forecast_baseline,
    least_history,
    log_har,
)
from marketgpt_training.evaluation.evaluate import as_of_dates

HORIZONS = (1, 5, 10)
PLAIN = sorted(BASELINES)


@pytest.fixture(scope="module")
def walk():
    return make_candles(("AAA", "BBB", "CCC"), num_candles=2_000, seed=5)


def asked(candles, dates, horizons=HORIZONS):
    """An empty forecast: only its pairs and horizons matter."""
    pairs = [
        (s, one.time[np.searchsorted(one.time, d, side="right") - 1])
        for s, one in candles.items()
        for d in dates
    ]
    n, h = len(pairs), len(horizons)
    return Forecast(
        symbols=tuple(s for s, _ in pairs),
        as_of=np.array([d for _, d in pairs], dtype="datetime64[ns]"),
        close=np.ones(n),
        horizons=np.array(horizons),
        levels=np.array(QUANTILE_LEVELS),
        quantiles=np.zeros((n, h, len(QUANTILE_LEVELS))),
        p_up=np.full((n, h), 0.5),
        aleatoric=np.zeros((n, h)),
        epistemic=np.zeros((n, h)),
    )


def poisoned(candles, after):
    return Candles(
        CandleSeries(s.symbol, s.interval, s.time, *(np.where(s.time > after, v * 7.0, v) for v in
                     (s.open, s.high, s.low, s.close)), s.volume)
        for s in candles.values()
    )  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_baselines_use_nothing_later_than_the_as_of_date(walk, name):
    made = asked(walk, [np.datetime64("2019-03-04", "ns")])
    full = baseline_forecast(name, walk, made, num_samples=50, seed=1)
    for other in (walk.until("2019-03-04"), poisoned(walk, made.as_of[0])):
        again = baseline_forecast(name, other, made, num_samples=50, seed=1)
        np.testing.assert_array_equal(full.quantiles, again.quantiles)
        np.testing.assert_array_equal(full.p_up, again.p_up)


@pytest.mark.parametrize("name", [*PLAIN, "log_har"])
def test_a_date_gets_the_same_forecast_in_any_company(walk, name):
    """Refits stand at rows of the series, so that asking for more dates changes none."""
    dates = as_of_dates(walk, "2018-06-01", "2019-06-01", 20)

    def of(chosen):
        if name == "log_har":
            rows = np.searchsorted(walk["AAA"].time, np.array(chosen))
            return log_har(walk["AAA"], rows, HORIZONS)
        return baseline_forecast(
            name, walk.select(["AAA"]), asked(walk.select(["AAA"]), chosen), num_samples=64
        ).quantiles

    many, one = of(dates), of(dates[:1])
    np.testing.assert_allclose(many[0], one[0], rtol=1e-12)


def test_log_har_uses_nothing_later_than_the_as_of_row(walk):
    series = walk["AAA"]
    rows = np.array([900, 1_311])
    full = log_har(series, rows, HORIZONS)
    wild = poisoned(walk, series.time[1_311])["AAA"]
    np.testing.assert_array_equal(full, log_har(wild, rows, HORIZONS))
    np.testing.assert_allclose(full[:1], log_har(series[:901], rows[:1], HORIZONS))


@pytest.mark.parametrize("name", PLAIN)
def test_baselines_are_right_about_a_constant_volatility(walk, name):
    made = asked(walk, as_of_dates(walk, "2019-01-01", "2020-01-01", 40))
    forecast = baseline_forecast(name, walk, made, num_samples=1_000, seed=1)
    for position, horizon in enumerate(HORIZONS):
        width = (forecast.quantile(0.75) - forecast.quantile(0.25))[:, position].mean()
        assert width == pytest.approx(2 * 0.6745 * 0.01 * np.sqrt(horizon), rel=0.15)
        assert forecast.aleatoric[:, position].mean() == pytest.approx(0.01 * np.sqrt(horizon), rel=0.15)
    assert forecast.p_up.mean() == pytest.approx(0.5, abs=0.05)


def test_garch_follows_volatility_that_moves():
    rng = np.random.default_rng(2)
    sigma = np.where(np.arange(1_500) % 500 < 250, 0.006, 0.018)
    close = 100 * np.exp(np.cumsum(rng.normal(0, sigma)))
    days = np.busday_offset("2014-01-01", np.arange(1_500)).astype("datetime64[ns]")
    one = CandleSeries("X", make_candles().interval, days, close, close, close, close, np.zeros(1_500))
    candles = Candles([one])
    calm, wild = days[1_000 + 240], days[1_000 + 490]
    for name in ("garch_t", "gjr_t", "ewma_normal", "ewma_fhs"):
        forecast = baseline_forecast(
            name, candles, asked(candles, [calm, wild], (1,)), num_samples=500, seed=0
        )
        widths = (forecast.quantile(0.9) - forecast.quantile(0.1))[:, 0]
        assert widths[1] > 2 * widths[0], name


def test_fits_are_counted_and_the_next_bars_law_is_closed(walk):
    made = asked(walk, as_of_dates(walk, "2018-01-01", "2018-12-31", 5))
    found = forecast_baseline("garch_t", walk, made, num_paths=200, seed=0)
    # 250 sessions hold four to six rows that are multiples of 60, and searches start from up to three more.
    assert 15 <= found.counts["fits"] <= 27
    assert found.counts["not_converged"] == 0
    np.testing.assert_array_equal(
        np.isfinite(found.closed.scale), np.tile([True, False, False], (len(made), 1))
    )
    law = t(found.closed.freedom[:, 0], found.closed.location[:, 0], found.closed.scale[:, 0])
    np.testing.assert_allclose(found.forecast.quantile(0.05)[:, 0], law.ppf(0.05))
    np.testing.assert_allclose(found.forecast.p_up[:, 0], law.sf(0))


def test_closed_laws_have_the_density_of_scipy():
    shape = (1, 3)
    law = ClosedLaw(np.full(shape, 0.1), np.full(shape, 0.5), np.array([[np.inf, 4.0, 9.0]]))
    outcome = np.full(shape, 0.7)
    expected = [norm(0.1, 0.5).logpdf(0.7), t(4, 0.1, 0.5).logpdf(0.7), t(9, 0.1, 0.5).logpdf(0.7)]
    np.testing.assert_allclose(law.log_density(outcome)[0], expected)


def test_the_random_walks_law_is_that_of_all_returns_known(walk):
    series, rows = walk["AAA"], np.array([700, 300, 301])
    law = BASELINES["random_walk"](series, rows, [5], 50, np.random.default_rng(0))
    past = np.log(series.close[5:] / series.close[:-5])
    for i, row in enumerate(rows):
        expected = np.quantile(past[: row - 4], QUANTILE_LEVELS, method="hazen")
        np.testing.assert_allclose(law.quantiles[i, 0], expected, rtol=1e-12)
        assert law.p_up[i, 0] == pytest.approx((past[: row - 4] > 0).mean())


def test_one_bar_ahead_fhs_draws_every_past_bar_equally_often(walk):
    """No sampling noise is left: the quantiles are those of the standardised pool, scaled."""
    series, rows = walk["AAA"], np.array([1_500])
    few, many = (
        BASELINES["ewma_fhs"](series, rows, [1], paths, np.random.default_rng(seed)).quantiles[0, 0]
        for paths, seed in ((1_000, 0), (4_000, 1))
    )
    np.testing.assert_allclose(few[4:23], many[4:23], rtol=0.02, atol=1e-5)


def test_ar1_finds_the_slope_and_carries_it_on():
    rng = np.random.default_rng(3)
    noise, returns = rng.normal(0, 0.01, 3_000), np.zeros(3_000)
    for i in range(1, 3_000):
        returns[i] = 0.0004 + 0.3 * (returns[i - 1] - 0.0004) + noise[i]
    close = 50 * np.exp(np.cumsum(returns))
    days = np.busday_offset("2008-01-01", np.arange(3_000)).astype("datetime64[ns]")
    series = CandleSeries("X", make_candles().interval, days, close, close, close, close, np.zeros(3_000))
    rows = np.arange(2_900, 2_950)
    law = BASELINES["ar1"](series, rows, [1, 3], 1, rng)
    last = returns[rows] - 0.0004
    median = law.quantiles[:, :, QUANTILE_LEVELS.index(0.5)]
    assert np.polyfit(last, median[:, 0], 1)[0] == pytest.approx(0.3, abs=0.05)
    assert np.polyfit(last, median[:, 1], 1)[0] == pytest.approx(0.3 + 0.09 + 0.027, abs=0.06)
    assert np.corrcoef(law.p_up[:, 0], last)[0, 1] > 0.9


def test_log_har_tells_calm_from_turbulent_and_has_no_bias():
    rng = np.random.default_rng(4)
    log_sigma = np.zeros(4_000)
    for i in range(1, 4_000):
        log_sigma[i] = 0.98 * log_sigma[i - 1] + rng.normal(0, 0.12)
    sigma = 0.01 * np.exp(log_sigma)
    steps = rng.normal(0, 1, (4_000, 30)) * (sigma / np.sqrt(30))[:, None]
    path = np.cumsum(steps.ravel()).reshape(4_000, 30)
    before = np.concatenate([[0.0], path[:-1, -1]])
    whole = np.concatenate([before[:, None], path], axis=1)
    days = np.busday_offset("2004-01-01", np.arange(4_000)).astype("datetime64[ns]")
    prices = [np.exp(one) for one in (before, whole.max(axis=1), whole.min(axis=1), path[:, -1])]
    series = CandleSeries("X", make_candles().interval, days, *prices, np.zeros(4_000))
    rows = np.arange(1_200, 3_900, 3)
    found = log_har(series, rows, [1, 5])
    for position, horizon in enumerate((1, 5)):
        truth = np.array([(sigma[r + 1 : r + 1 + horizon] ** 2).sum() for r in rows])
        assert np.corrcoef(np.log(found[:, position]), np.log(truth))[0, 1] > 0.85
        assert found[:, position].mean() == pytest.approx(truth.mean(), rel=0.1)


def test_halts_do_not_break_a_baseline():
    """A price that stood still for weeks: no variance, no range, no logarithm."""
    base = make_candles(("AAA",), num_candles=900, seed=2)["AAA"]
    still = np.arange(900) % 300 > 270
    frozen = np.where(
        still, base.close[np.maximum.accumulate(np.where(still, 0, np.arange(900)))], base.close
    )
    prices = [np.where(still, frozen, one) for one in (base.open, base.high, base.low)]
    series = CandleSeries("AAA", base.interval, base.time, *prices, frozen, base.volume)
    rows = np.array([299, 400, 599, 899])
    for baseline in BASELINES.values():
        law = baseline(series, rows, HORIZONS, 100, np.random.default_rng(0))
        assert np.isfinite(law.quantiles).all()
        assert (np.diff(law.quantiles, axis=-1) >= 0).all()
    assert (log_har(series, rows, HORIZONS) > 0).all()


def test_every_baseline_has_a_name_people_know():
    assert {*BASELINES, "log_har"} == set(LABELS)


def test_long_horizons_ask_for_more_history(walk):
    assert least_history([1, 42]) == 252
    assert least_history([1, 242]) == 452
    short = walk.select(["AAA"])
    made = asked(short, [short["AAA"].time[460]], (1, 242))
    for name in PLAIN:
        assert np.isfinite(baseline_forecast(name, short, made, num_samples=64).quantiles).all()


def test_a_date_before_the_data_is_an_error(walk):
    made = asked(walk, [np.datetime64("2018-01-02", "ns")])
    late = walk.between("2019-01-01", None)
    with pytest.raises(DataError, match="has no candle at or before"):
        baseline_forecast("random_walk", late, made)
