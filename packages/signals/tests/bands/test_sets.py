from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.bands.coverage import coverage
from marketgpt_signals.bands.figure import bands_figure
from marketgpt_signals.bands.sets import band_sets, forecast_bands


@pytest.fixture(scope="module")
def walk():
    series = make_candles(["AAA"], num_candles=900)["AAA"]
    days = [str(day)[:10] for day in series.time[100:]]
    return series, make_forecast(["AAA"], as_of=days, horizons=(5, 10, 21, 42), num_samples=400)


def test_windows_are_sessions_or_days():
    plain, coin = (
        [one.bars for one in band_sets(make_candles(["A"], category=category)["A"], num_resamples=0)]
        for category in (Category.US, Category.CRYPTO)
    )
    assert plain == [5, 10, 21, 42]
    assert coin == [7, 14, 30, 60]
    untold = make_candles(["BTC-USD"], category=Category.UNKNOWN)["BTC-USD"]
    assert [one.bars for one in band_sets(untold, num_resamples=0)] == coin


def test_a_true_law_holds_what_it_promises():
    """Over twelve walks the walk's own law holds 95%, and most intervals cover that."""
    shares, covered = [], 0
    for seed in range(12):
        series = make_candles(["AAA"], num_candles=420, seed=seed)["AAA"]
        days = [str(day)[:10] for day in series.time[:400]]
        forecast = make_forecast(["AAA"], as_of=days, horizons=(5,), num_samples=1_000, seed=seed)
        held = band_sets(series, forecast, num_resamples=100)[-1].at_horizon
        assert held.num == 400
        assert held.below + held.above == pytest.approx(1 - held.share)
        shares.append(held.share)
        covered += held.interval[0] <= 0.95 <= held.interval[1]
    assert np.mean(shares) == pytest.approx(0.95, abs=0.015)
    assert covered >= 8


def test_classical_bands_are_no_forecast(walk):
    """At the horizon they hold far less than the 95.4% of a normal law."""
    sets = {(one.kind, one.name): one for one in band_sets(*walk, num_resamples=0)}
    assert len(sets) == 8
    assert sets["classical", "1m"].at_horizon.share < 0.8
    assert sets["classical", "1m"].next_close.share > sets["classical", "1m"].at_horizon.share


def test_forecast_bands_stand_at_the_bar_they_were_made_at(walk):
    series, forecast = walk
    bands = forecast_bands(series, forecast, 10, 0.9)
    assert np.isnan(bands.middle[:100]).all()
    column = forecast.horizon_index(10)
    assert bands.upper[100] == pytest.approx(series.close[100] * np.exp(forecast.quantile(0.95)[0, column]))
    # Nothing after a bar enters its band.
    assert forecast_bands(series[:101], forecast, 10, 0.9).upper[100] == bands.upper[100]
    with pytest.raises(DataError, match="between 0 and 1"):
        forecast_bands(series, forecast, 10, 1.0)


def test_coverage_counts_and_overlap_widens_the_interval():
    rng = np.random.default_rng(0)
    values, edge = rng.normal(size=1_000), np.full(1_000, 1.6449)
    plain = coverage(values, -edge, edge, mean_block=1)
    assert plain.share == np.mean(np.abs(values) <= 1.6449)
    slow = np.convolve(rng.normal(size=1_041), np.ones(42) / np.sqrt(42), "valid")
    wide = coverage(slow, -edge, edge, mean_block=42)
    assert np.diff(wide.interval) > 1.5 * np.diff(plain.interval)
    assert coverage(np.array([np.nan]), edge[:1], edge[:1], mean_block=1).share is None
    assert coverage(values[:3], -edge[:3], edge[:3], mean_block=42).interval is None


def test_symbols_without_forecasts_have_classical_bands_only(walk):
    other = make_candles(["BBB"], num_candles=60)["BBB"]
    assert {one.kind for one in band_sets(other, walk[1], num_resamples=0)} == {"classical"}
    newest = band_sets(other, num_resamples=0)[0].to_json(other)
    assert newest["newest"]["known_at_the_close_of"] == str(other.time[-1])[:10]
    short = Candles([other[:3]])["BBB"]
    assert band_sets(short, num_resamples=0)[3].to_json(short)["newest"] is None


def test_the_picture_draws_forecasts_where_they_speak_of(walk):
    series, forecast = walk
    figure = bands_figure(series, band_sets(series, forecast, num_resamples=0))
    fan = next(trace for trace in figure.data if trace.name == "forecast 1m")
    # The newest was made at the last bar, for 21 sessions later.
    assert fan.x[-1] > series.time[-1]
    assert len([trace for trace in figure.data if (trace.name or "").startswith("classical")]) == 12
