from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from marketgpt_signals.backtest.tearsheet.crises import CRISES, stresses


def days(start, end):
    return np.arange(start, end, dtype="datetime64[D]").astype("datetime64[ns]")


def test_only_windows_inside_the_test_are_measured(tested):
    inside, cut = stresses(tested.result.time, tested.result.equity, tested.result.benchmark)
    assert [one.crisis.name for one in inside] == ["2018 fourth quarter", "2020 Covid crash"]
    assert cut == []
    time = days("2018-10-01", "2020-03-01")
    inside, cut = stresses(time, np.ones(len(time)), np.ones(len(time)))
    assert inside == []
    assert [one.name for one in cut] == ["2018 fourth quarter", "2020 Covid crash"]


def test_a_window_runs_from_the_close_of_the_peak_to_that_of_the_trough(tested):
    result = tested.result
    (found, _), _ = stresses(result.time, result.equity, result.benchmark)
    for curve, change, fall in (
        (result.equity, found.strategy, found.strategy_drawdown),
        (result.benchmark, found.hold, found.hold_drawdown),
    ):
        window = pd.Series(curve, index=pd.DatetimeIndex(result.time))["2018-09-20":"2018-12-24"]
        assert change == pytest.approx(window.iloc[-1] / window.iloc[0] - 1)
        assert fall == pytest.approx((1 - window / window.cummax()).max())


def test_dates_without_a_bar_take_the_last_close_before_them():
    time = np.array(["2018-09-01", "2018-10-01", "2018-12-20", "2018-12-26"], dtype="datetime64[ns]")
    ((found,), _) = stresses(time, np.array([1.0, 2.0, 3.0, 9.0]), np.array([1.0, 0.5, 0.8, 9.0]))
    assert (found.strategy, found.hold) == (pytest.approx(2.0), pytest.approx(-0.2))
    assert (found.strategy_drawdown, found.hold_drawdown) == (0.0, pytest.approx(0.5))


def test_a_ruined_account_has_no_return():
    time = days("2018-01-01", "2019-06-01")
    ((found,), _) = stresses(time, np.where(np.arange(len(time)) < 10, 1.0, 0.0), np.ones(len(time)))
    assert found.strategy is None
    assert found.hold == 0


def test_the_table_is_in_order():
    dates = [moment for one in CRISES for moment in (one.peak, one.trough)]
    assert dates == sorted(dates)
    assert all(-1 < one.fall < 0 for one in CRISES)
