import numpy as np
import pytest

from marketgpt_core.errors import DataError
from marketgpt_core.testing import make_candles, make_forecast

pytest.importorskip("plotly", reason="plotly is an extra of marketgpt-core")


def test_the_fan_starts_at_the_close_and_widens():
    forecast = make_forecast()
    figure = forecast.plot(0)
    close = forecast.close[0]
    bands = [trace for trace in figure.data if trace.fill == "tonexty"]
    assert [band.name for band in bands] == ["98%", "90%", "80%", "50%"]
    for trace in figure.data:
        assert trace.y[0] == pytest.approx(close)
    outer = bands[0].y
    np.testing.assert_allclose(outer[1:], close * np.exp(forecast.quantile(0.01)[0]))


def test_the_history_ends_where_the_forecast_begins():
    forecast = make_forecast()
    symbol, stamp = forecast.symbols[0], forecast.as_of[0]
    candles = make_candles((symbol,), num_candles=50, start=str(stamp - np.timedelta64(30, "D"))[:10])
    figure = forecast.plot(0, candles=candles)
    history = next(trace for trace in figure.data if trace.name == "close")
    known = candles[symbol].close[candles[symbol].time <= stamp]
    assert list(history.x) == list(range(1 - len(known), 1))
    np.testing.assert_array_equal(history.y, known)


def test_a_row_that_is_not_there_is_refused():
    with pytest.raises(DataError, match="there is no row 99"):
        make_forecast().plot(99)
