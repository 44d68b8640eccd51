from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from marketgpt.report.candles_figure import candles_figure, future_dates
from marketgpt_core.calendars import trading_calendar
from marketgpt_core.plugins import registry
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_core.times import to_datetime

FRIDAY = np.datetime64("2026-11-20")


def dates(as_of, bars, calendar):
    found = future_dates(np.datetime64(as_of), np.array(bars), trading_calendar(calendar))
    return found.astype(str).tolist()


def test_weekends_and_holidays_are_left_out():
    # Thanksgiving is the 26th.
    assert dates(FRIDAY, [0, 1, 3, 4, 5], "XNYS") == [
        "2026-11-20",
        "2026-11-23",
        "2026-11-25",
        "2026-11-27",
        "2026-11-30",
    ]
    assert dates(FRIDAY, [0, 1, 5, 6], "weekdays") == [
        "2026-11-20",
        "2026-11-23",
        "2026-11-27",
        "2026-11-30",
    ]
    # From a stamp inside the day too.
    assert dates("2026-11-20T21:00:00.000000000", [1], "XNYS") == ["2026-11-23"]


@pytest.mark.parametrize("day", ["2026-11-21", "2026-11-22"])
def test_from_a_weekend_the_count_starts_at_friday(day):
    assert dates(day, [0, 1, 2], "24/5") == ["2026-11-20", "2026-11-23", "2026-11-24"]


def test_crypto_trades_every_day():
    assert dates(FRIDAY, [0, 1, 2, 42], "24/7") == [
        "2026-11-20",
        "2026-11-21",
        "2026-11-22",
        "2027-01-01",
    ]


@pytest.fixture
def drawn():
    series = make_candles(("AAA",), num_candles=300, start="2015-01-01")["AAA"]
    last = series.time[-1].astype("datetime64[D]").astype(str)
    days = [str(day) for day in series.time[-6:-1].astype("datetime64[D]")]
    forecast = make_forecast(("AAA",), as_of=(last,), horizons=(1, 5, 10))
    strategy = registry("signal-strategy").create("threshold", {"horizons": (5, 10)})
    made_at = to_datetime(series.time[-1]) + timedelta(hours=22)
    up = strategy.signals(make_forecast(("AAA", "BBB"), as_of=days[:3], drift=0.003), created_at=made_at)
    down = strategy.signals(make_forecast(("AAA",), as_of=days[3:], drift=-0.003), created_at=made_at)
    return series, forecast, candles_figure(series, forecast, [*up, *down], horizon_bars=5)


def test_the_fan_starts_at_the_last_close_and_widens(drawn):
    series, forecast, figure = drawn
    traces = {trace.name: trace for trace in figure.data if trace.name}
    median = traces["forecast median"]
    assert median.y[0] == pytest.approx(forecast.close[0])
    assert len(median.x) == 4
    edges = [trace for trace in figure.data if trace.type == "scatter" and trace.mode == "lines"]
    outer_high, outer_low = edges[0].y, edges[1].y
    width = np.asarray(outer_high) - np.asarray(outer_low)
    assert width[0] == 0
    assert (np.diff(width) > 0).all()
    assert len(traces["AAA"].x) == 180
    assert traces["AAA"].close[-1] == series.close[-1]


def test_a_mark_stands_where_the_side_turns_and_only_there(drawn):
    series, _, figure = drawn
    traces = {trace.name: trace for trace in figure.data}
    # Three days LONG, two days SHORT, of one symbol and one horizon of two.
    assert [str(x)[:10] for x in traces["turns LONG"].x] == [str(series.time[-6])[:10]]
    assert [str(x)[:10] for x in traces["turns SHORT"].x] == [str(series.time[-3])[:10]]
    assert len(traces["turns FLAT"].x) == 0
    assert traces["turns LONG"].y[0] < series.low[-6]
    assert traces["turns SHORT"].y[0] > series.high[-3]


def test_a_signal_older_than_what_is_shown_is_left_out(drawn):
    series, forecast, _ = drawn
    strategy = registry("signal-strategy").create("threshold", {"horizons": (5,)})
    old = strategy.signals(
        make_forecast(("AAA",), as_of=(str(series.time[3])[:10],), drift=0.003),
        created_at=to_datetime(series.time[-1]),
    )
    figure = candles_figure(series, forecast, old, horizon_bars=5)
    assert all(len(trace.x) == 0 for trace in figure.data if str(trace.name).startswith("turns"))
