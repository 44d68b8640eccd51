from __future__ import annotations

import json
import math

import numpy as np
import pytest

from marketgpt_core.signal import Outcome
from marketgpt_signals.backtest.metrics import performance, plain, trades, wilson_interval
from marketgpt_signals.testing import CREATED_AT

YEAR = np.datetime64("2015-01-01") + np.arange(0, 366)


def measure(equity, time=YEAR, num_resamples=0):
    time = np.asarray(time[: len(equity)], dtype="datetime64[ns]")
    return performance(np.asarray(equity, float), time, mean_block=5, num_resamples=num_resamples, seed=0)


def test_numbers_by_hand():
    found = measure([1.0, 1.1, 0.99, 1.089])
    returns = np.array([0.1, -0.1, 0.1])
    assert found.total_return == pytest.approx(0.089)
    assert found.cagr == pytest.approx(1.089 ** (365.25 / 3) - 1)
    assert found.volatility == pytest.approx(returns.std(ddof=1) * math.sqrt(365.25))
    assert found.sharpe == pytest.approx(returns.mean() / returns.std(ddof=1) * math.sqrt(365.25))
    assert found.sortino == pytest.approx(returns.mean() / math.sqrt(0.01 / 3) * math.sqrt(365.25))
    assert found.max_drawdown == pytest.approx(0.1)
    assert found.sharpe_interval is None


def test_a_year_of_steady_growth():
    found = measure(np.exp(np.log(1.2) * np.arange(366) / 365.25))
    assert found.cagr == pytest.approx(0.2)
    assert found.sharpe is None  # no spread, no ratio
    assert found.sortino is None
    assert found.volatility == pytest.approx(0, abs=1e-12)
    assert found.max_drawdown == 0


def test_cash_and_ruin_have_no_ratio_but_a_return():
    cash = measure(np.ones(10), num_resamples=50)
    assert (cash.total_return, cash.cagr, cash.sharpe, cash.sharpe_interval) == (0, 0, None, None)
    ruin = measure([1.0, 0.5, 0.0, 0.0, 0.0])
    assert (ruin.total_return, ruin.cagr, ruin.max_drawdown) == (-1, -1, 1)
    assert ruin.sharpe < 0


def test_what_is_too_short_to_measure_is_none():
    one = measure([1.0])
    assert (one.cagr, one.volatility, one.sharpe, one.sortino) == (None, None, None, None)
    assert measure([1.0, 1.5]).sharpe is None
    assert measure([1.0, 2.0, 4.0]).cagr is None  # a doubling a day is no growth a year


def test_the_sharpe_interval_holds_the_sharpe_and_zero_when_there_is_no_skill():
    rng = np.random.default_rng(0)
    found = measure(np.cumprod(1 + rng.normal(0, 0.01, 366)), num_resamples=500)
    low, high = found.sharpe_interval
    assert low < found.sharpe < high
    assert low < 0 < high
    assert 2.5 < high - low < 4.5  # a year of data: 2 x 1.645 standard deviations of about 1


# As scipy 1.17 has it: binomtest(...).proportion_ci(confidence_level=0.9, method="wilson").
@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    [
        (0, 10, 0.0, 0.21294197),
        (10, 10, 0.78705803, 1.0),
        (55, 100, 0.467926699, 0.629439029),
        (1, 1, 0.269865949, 1.0),
        (4_999, 10_000, 0.491676871, 0.508123183),
    ],
)
def test_wilson(hits, trials, low, high):
    assert wilson_interval(hits, trials) == pytest.approx((low, high), abs=1e-8)


def test_no_trial_no_interval():
    assert wilson_interval(0, 0) is None


def outcome(net: float, *, hit: bool | None) -> Outcome:
    at = CREATED_AT
    return Outcome("0" * 32, at, at, 1.0, 1.0, 0.0, net, 14.0, hit, True, at)


def test_trades():
    found = trades(
        [outcome(0.03, hit=True), outcome(-0.01, hit=False), outcome(-0.005, hit=True), outcome(0, hit=None)]
    )
    assert (found.num_closed, found.num_flat) == (3, 1)
    assert found.hit_rate == pytest.approx(2 / 3)
    assert found.hit_interval == wilson_interval(2, 3)
    assert found.profit_factor == pytest.approx(2)
    assert found.mean_net_return == pytest.approx(0.005)
    none = trades([outcome(0, hit=None)])
    assert (none.hit_rate, none.hit_interval, none.profit_factor, none.mean_net_return) == (None,) * 4
    assert trades([outcome(0.1, hit=True)]).profit_factor is None


def test_json_never_holds_nan():
    value = {
        "a": [1.0, math.nan, math.inf],
        "b": np.array([1.0, math.nan]),
        "c": (np.float64(2), None, True, 3),
    }
    cleaned = plain(value)
    assert cleaned == {"a": [1.0, None, None], "b": [1.0, None], "c": [2.0, None, True, 3]}
    json.dumps(cleaned, allow_nan=False)
