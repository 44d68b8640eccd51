from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from marketgpt_core.candles import CandleSeries
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles
from marketgpt_core.times import to_datetime
from marketgpt_monitoring.panels.chart import candle_option, future_stamps, interpolate_fan, newest_forecast
from marketgpt_monitoring.sample_ledger import make_signal


@pytest.fixture
def series():
    return make_candles(("AAA",), num_candles=60, start="2024-01-01")["AAA"]


def with_times(series: CandleSeries, times, interval=Interval.DAY) -> CandleSeries:
    part = series[: len(times)]
    return CandleSeries(
        symbol="AAA",
        interval=interval,
        time=np.array(times, dtype="datetime64[ns]"),
        open=part.open,
        high=part.high,
        low=part.low,
        close=part.close,
        volume=part.volume,
    )


def forecast_at(series, row, horizons=(1, 5, 21), **changes):
    return [
        make_signal(
            "AAA",
            as_of=to_datetime(series.time[row]),
            horizon_bars=horizon,
            close=float(series.close[row]),
            **changes,
        )
        for horizon in horizons
    ]


def by_id(option):
    return {one["id"]: one for one in option["series"]}


def chart(series, newest=(), marks=(), zoom_from=None):
    return candle_option(series, marks=list(marks), newest=list(newest), zoom_from=zoom_from)


def test_candles_are_open_close_low_high(series):
    data = by_id(chart(series))["candles"]["data"]
    assert len(data) == 60
    assert data[7] == pytest.approx([series.open[7], series.close[7], series.low[7], series.high[7]])


def test_the_fan_starts_at_the_close_and_meets_every_horizon(series):
    newest = forecast_at(series, 59)
    option = chart(series, newest)
    lines = by_id(option)
    labels = option["xAxis"]["data"]
    assert labels[59] == str(series.time[59])[:10]
    assert lines["q50"]["data"][58] is None
    assert lines["q05"]["data"][59] == lines["q50"]["data"][59] == pytest.approx(series.close[59])
    assert lines["d90"]["data"][59] == 0
    for signal in newest:
        at = 59 + signal.horizon_bars
        assert lines["q05"]["data"][at] == pytest.approx(signal.bands.q05)
        assert lines["q05"]["data"][at] + lines["d90"]["data"][at] == pytest.approx(signal.bands.q95)
        assert lines["q25"]["data"][at] + lines["d50"]["data"][at] == pytest.approx(signal.bands.q75)
    assert lines["q05"]["data"][59 + 22] is None
    assert [(dot["value"][0], dot["name"]) for dot in lines["horizons"]["data"]] == [
        (60, "1d"),
        (64, "1w"),
        (80, "1m"),
    ]


def test_between_horizons_the_spread_grows_with_the_root_of_time():
    newest = [make_signal(horizon_bars=horizon, bar_volatility=0.01) for horizon in (1, 16)]
    fan = interpolate_fan(newest)
    assert fan.shape == (17, 5)
    assert np.log(fan[:, 4] / 100.0) == pytest.approx(1.6448536 * 0.01 * np.sqrt(np.arange(17)))


def test_a_fan_of_the_past_lies_over_the_candles_that_came(series):
    option = chart(series, forecast_at(series, 40))
    lines = by_id(option)
    assert lines["q50"]["data"][40] == pytest.approx(series.close[40])
    assert lines["q50"]["data"][61] is not None
    assert lines["candles"]["markLine"]["data"] == [{"xAxis": 40, "name": str(series.time[40])[:10]}]
    assert len(option["xAxis"]["data"]) == 40 + 22 + 3


def test_a_forecast_older_than_the_candles_has_no_fan(series):
    old = [make_signal("AAA", as_of=datetime(2020, 1, 1, tzinfo=UTC))]
    option = chart(series, old)
    assert set(by_id(option)["q50"]["data"]) == {None}
    assert len(option["xAxis"]["data"]) == 60


def test_the_newest_forecast_is_of_one_as_of_and_said_last(series):
    fresh = forecast_at(series, 59, (1, 5))
    stale = forecast_at(series, 50, (21,))
    other = make_signal(
        "AAA", as_of=fresh[0].as_of, horizon_bars=1, strategy="later", close=float(series.close[59])
    )
    later = type(other)(**{**other.__dict__, "created_at": other.created_at + timedelta(hours=1)})
    assert [(one.horizon_bars, one.strategy) for one in newest_forecast([later, *stale, *fresh])] == [
        (1, "later"),
        (5, "threshold"),
    ]
    assert newest_forecast([]) == []


def test_marks_stand_at_their_candle_on_their_side(series):
    marks = [
        make_signal("AAA", as_of=to_datetime(series.time[10]), probability=0.6),
        make_signal("AAA", as_of=to_datetime(series.time[20]), probability=0.4),
        make_signal("AAA", as_of=to_datetime(series.time[30]), probability=0.5),
        make_signal("AAA", as_of=datetime(2020, 1, 1, tzinfo=UTC), probability=0.6),
    ]
    lines = by_id(chart(series, marks=marks))
    ((long,), (short,), (flat,)) = (lines[side]["data"] for side in ("LONG", "SHORT", "FLAT"))
    assert (long["value"][0], long["name"]) == (10, "LONG 60%")
    assert long["value"][1] < series.low[10]
    assert (short["value"][0], short["name"]) == (20, "SHORT 40%")
    assert short["value"][1] > series.high[20]
    assert (flat["value"][0], flat["name"]) == (30, "FLAT 50%")


def test_business_days_follow_business_days(series):
    friday = with_times(series, ["2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08"])
    assert future_stamps(friday, 2).astype("datetime64[D]").astype(str).tolist() == [
        "2024-03-11",
        "2024-03-12",
    ]


def test_holidays_of_the_exchange_are_left_out(series):
    # Friday, before Martin Luther King's day; then Wednesday, before Thanksgiving.
    for day, following in (("2024-01-12", "2024-01-16"), ("2024-11-27", "2024-11-29")):
        one = replace(with_times(series, [day]), category=Category.US)
        assert str(future_stamps(one, 1)[0])[:10] == following


def test_a_market_that_never_closes_goes_on_at_the_weekend(series):
    crypto = with_times(series, [f"2024-03-{day:02}" for day in range(1, 9)])
    assert str(future_stamps(crypto, 1)[0])[:10] == "2024-03-09"


def test_hours_and_weeks_follow_their_interval(series):
    hourly = with_times(series, ["2024-03-08T14:00", "2024-03-08T15:00"], Interval.HOUR)
    assert str(future_stamps(hourly, 2)[1])[:16] == "2024-03-08T17:00"
    assert chart(hourly)["xAxis"]["data"] == ["2024-03-08 14:00", "2024-03-08 15:00"]
    weekly = with_times(series, ["2024-03-04", "2024-03-11"], Interval.WEEK)
    assert str(future_stamps(weekly, 1)[0])[:10] == "2024-03-18"


def test_the_view_is_set_once_and_then_left_to_the_viewer(series):
    assert [one["startValue"] for one in chart(series, zoom_from=-5)["dataZoom"]] == [0, 0]
    assert [one["startValue"] for one in chart(series, zoom_from=20)["dataZoom"]] == [20, 20]
    assert all("startValue" not in one for one in chart(series, zoom_from=None)["dataZoom"])


def test_the_number_of_series_never_changes(series):
    """Else NiceGUI rebuilds the chart, and the viewer's zoom is lost."""
    assert len(chart(series)["series"]) == len(chart(series, forecast_at(series, 59))["series"])


def test_the_option_is_json_and_free_of_the_texts_of_others(series):
    hostile = "</script><img src=x onerror=alert(1)>"
    newest = forecast_at(series, 59, strategy=hostile, model_id=hostile, reason=hostile)
    text = json.dumps(chart(series, newest, marks=newest), allow_nan=False)
    assert "onerror" not in text


def test_code_is_constant(series):
    """NiceGUI runs what stands under a key that begins with a colon."""

    def code(value):
        if isinstance(value, dict):
            for key, inner in value.items():
                if key.startswith(":"):
                    yield inner
                yield from code(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from code(inner)

    plain = list(code(chart(series)))
    assert len(plain) == 2
    assert plain == list(
        code(chart(series, forecast_at(series, 59), forecast_at(series, 59, reason="`${x}`")))
    )
