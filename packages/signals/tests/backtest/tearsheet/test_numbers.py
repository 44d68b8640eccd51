"""A tearsheet's series against pandas and plain loops."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from marketgpt_signals.backtest.metrics import performance
from marketgpt_signals.backtest.tearsheet.numbers import (
    period_returns,
    rolling_sharpe,
    rolling_window,
    spread,
    underwater,
)

RUINED = np.array([1.0, 0.5, 0.0, 0.0])


@pytest.fixture(scope="module")
def curve(tested):
    result = tested.result
    return result.equity, result.time, pd.Series(result.equity, index=pd.DatetimeIndex(result.time))


@pytest.mark.parametrize(("unit", "rule"), [("M", "ME"), ("Y", "YE")])
def test_periods_are_those_of_pandas_and_compound_to_the_total(curve, unit, rule):
    equity, time, series = curve
    found = period_returns(equity, time, unit)
    ends = series.resample(rule).last()
    expected = ends / ends.shift(1, fill_value=series.iloc[0]) - 1
    assert list(found) == [str(period) for period in expected.index.to_period(unit)]
    assert np.allclose(list(found.values()), expected, rtol=0, atol=1e-12)
    assert np.prod([1 + value for value in found.values()]) == pytest.approx(equity[-1], abs=1e-12)


def test_a_month_without_bars_is_left_out():
    time = np.array(["2020-01-31", "2020-03-02", "2020-03-03"], dtype="datetime64[ns]")
    found = period_returns(np.array([1.0, 2.0, 3.0]), time, "M")
    assert found == {"2020-01": 0.0, "2020-03": 2.0}


def test_the_deepest_water_is_the_maximum_drawdown(curve, tested):
    equity, _, series = curve
    below = underwater(equity)
    assert np.allclose(below, series / series.cummax() - 1, rtol=0, atol=1e-15)
    assert -below.min() == tested.result.net.max_drawdown > 0


def test_rolling_sharpe_is_blank_until_full_then_that_of_its_window(curve):
    equity, time, _ = curve
    window = rolling_window(time)
    assert window == pytest.approx(261 / 2, abs=1)  # weekdays of half a year
    found = rolling_sharpe(equity, time, window)
    assert len(found) == len(equity)
    assert np.isnan(found[:window]).all()
    assert not np.isnan(found[window:]).any()
    returns = equity[1:] / equity[:-1] - 1
    a_year = len(returns) / ((time[-1] - time[0]) / np.timedelta64(1, "D") / 365.25)
    for row in (window, window + 1, 500, len(equity) - 1):
        sample = returns[row - window : row]
        expected = sample.mean() / sample.std(ddof=1) * np.sqrt(a_year)
        assert found[row] == pytest.approx(expected, rel=1e-9)


def test_a_window_as_long_as_the_test_is_the_headline(curve, tested):
    equity, time, _ = curve
    found = rolling_sharpe(equity, time, len(equity) - 1)
    assert found[-1] == pytest.approx(tested.result.net.sharpe, rel=1e-9)


def test_a_flat_stretch_has_no_ratio():
    rng = np.random.default_rng(0)
    returns = np.concatenate([rng.normal(0, 0.01, 60), np.zeros(60)])
    equity = np.concatenate([[1.0], np.cumprod(1 + returns)])
    time = np.datetime64("2020-01-01", "ns") + np.arange(121) * np.timedelta64(1, "D")
    found = rolling_sharpe(equity, time, 20)
    assert np.isnan(found[81:]).all()
    assert not np.isnan(found[20:79]).any()


def test_spread_is_that_of_scipy(curve):
    equity, _, series = curve
    returns = series.pct_change().dropna()
    found = spread(equity)
    assert found.num_bars == len(equity) - 1
    assert found.mean == pytest.approx(returns.mean())
    assert found.deviation == pytest.approx(returns.std())
    assert found.skew == pytest.approx(stats.skew(returns))
    assert found.kurtosis == pytest.approx(stats.kurtosis(returns))
    assert found.value_at_risk == pytest.approx(returns.quantile(0.05))
    assert found.expected_shortfall == pytest.approx(returns[returns <= returns.quantile(0.05)].mean())
    assert found.up == pytest.approx((returns > 0).mean())


def test_a_ruined_account_has_no_returns_after_its_ruin():
    time = np.array(["2020-01-30", "2020-01-31", "2020-02-28", "2020-03-31"], dtype="datetime64[ns]")
    assert np.isnan(rolling_sharpe(RUINED, time, 2)[3])
    assert rolling_sharpe(RUINED, time, 2)[2] < 0
    assert period_returns(RUINED, time, "M") == {"2020-01": -0.5, "2020-02": -1.0}
    assert underwater(RUINED).tolist() == [0.0, -0.5, -1.0, -1.0]
    assert spread(RUINED).num_bars == 2


def test_too_short_a_test_has_no_window_and_no_spread():
    time = np.datetime64("2020-01-01", "ns") + np.arange(60) * np.timedelta64(1, "D")
    assert rolling_window(time[:1]) is None
    assert rolling_window(time) is None  # a third of 59
    assert spread(np.ones(2)) is None
    assert spread(np.ones(3)).skew is None


def test_the_window_of_an_hourly_test_counts_its_own_bars(hourly):
    time = hourly["BTC-USD"].time
    assert rolling_window(time) == 499  # a third of 1,499; half a year would be 4,383
    assert performance(
        np.linspace(1, 2, 1_500), time, mean_block=5, num_resamples=0, seed=0
    ).sharpe == pytest.approx(rolling_sharpe(np.linspace(1, 2, 1_500), time, 1_499)[-1])
