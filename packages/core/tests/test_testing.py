"""The candles and forecasts of a known law do follow it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from marketgpt_core import Candles, Forecast
from marketgpt_core.testing import make_candles, make_forecast


def test_candles_are_a_driftless_walk_of_the_volatility_asked_for() -> None:
    series = make_candles(["A"], num_candles=20_000, start="1950-01-01", daily_volatility=0.02)["A"]
    returns = np.diff(np.log(series.close))
    assert returns.std() == pytest.approx(0.02, rel=0.02)
    assert abs(returns.mean()) < 4 * 0.02 / np.sqrt(20_000)
    assert abs(np.corrcoef(returns[1:], returns[:-1])[0, 1]) < 0.03
    weekdays = (series.time.astype("datetime64[D]").astype(int) + 3) % 7
    assert set(weekdays.tolist()) == {0, 1, 2, 3, 4}


def test_a_seed_is_a_seed() -> None:
    assert make_candles(seed=1).fingerprint() == make_candles(seed=1).fingerprint()
    assert make_candles(seed=1).fingerprint() != make_candles(seed=2).fingerprint()
    assert make_candles()["AAA"].close[5] != make_candles()["BBB"].close[5]


def test_forecasts_are_of_the_law_asked_for() -> None:
    made = make_forecast(["A"], as_of=["2020-01-01"], horizons=(1, 4), drift=0.01, num_samples=40_000)
    assert made.quantile(0.5)[0] == pytest.approx([0.01, 0.04], abs=0.0005)
    assert made.p_up[0] == pytest.approx([0.8413, 0.9772], abs=0.01)


def test_the_pytest_fixtures_are_these_functions(
    make_candles: Callable[..., Candles], make_forecast: Callable[..., Forecast]
) -> None:
    assert make_candles(["X"], num_candles=3).symbols == ("X",)
    assert make_forecast(horizons=(2,)).horizons.tolist() == [2]
