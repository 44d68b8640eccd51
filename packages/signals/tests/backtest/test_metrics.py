from __future__ import annotations

import json
import math
import warnings
from time import process_time

import numpy as np
import pytest

from marketgpt_signals.backtest.bootstrap import bootstrap_interval
from marketgpt_signals.backtest.metrics import performance, plain, wilson_interval

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


def test_calmar_alpha_and_beta_by_hand():
    """A third of the market's moves and a gain of its own, the same each bar."""
    market = np.cumprod(np.concatenate([[1.0], 1 + np.tile([0.02, -0.01, 0.005, -0.004], 90)]))
    mine = np.cumprod(np.concatenate([[1.0], 1 + (market[1:] / market[:-1] - 1) / 3 + 0.0002]))
    time = np.asarray(YEAR[:361], dtype="datetime64[ns]")
    found = performance(mine, time, mean_block=5, num_resamples=200, seed=0, market=market)
    assert found.beta == pytest.approx(1 / 3)
    assert found.alpha == pytest.approx(0.0002 * 365.25)
    assert found.intervals["beta"] == pytest.approx((1 / 3, 1 / 3))
    assert found.calmar == pytest.approx(found.cagr / found.max_drawdown)
    assert performance(mine, time, mean_block=5, num_resamples=0, seed=0).alpha is None


def test_every_measure_has_an_interval_and_alphas_holds_what_made_it():
    rng = np.random.default_rng(3)
    market = rng.normal(0.0003, 0.01, 365 * 4)
    mine = 0.5 * market + rng.normal(0.0005, 0.005, len(market))
    time = np.datetime64("2012-01-01") + np.arange(len(market) + 1).astype("timedelta64[D]")
    curves = [np.cumprod(np.concatenate([[1.0], 1 + returns])) for returns in (mine, market)]
    found = performance(
        curves[0],
        time.astype("datetime64[ns]"),
        mean_block=5,
        num_resamples=400,
        seed=0,
        market=curves[1],
    )
    names = {
        "total_return", "cagr", "volatility", "sharpe", "sortino", "calmar", "max_drawdown", "alpha", "beta",
    }  # fmt: skip
    assert set(found.intervals) == names
    for name in names - {"max_drawdown", "calmar"}:
        low, high = found.intervals[name]
        assert low < getattr(found, name) < high, name
    assert found.intervals["alpha"][0] < 0.0005 * 365.25 < found.intervals["alpha"][1]
    assert found.intervals["beta"][0] < 0.5 < found.intervals["beta"][1]
    assert found.sharpe_interval == found.intervals["sharpe"]


def test_the_interval_is_that_of_the_plain_bootstrap():
    """Many resamples at once are the resamples of one at a time."""
    rng = np.random.default_rng(0)
    found = measure(np.cumprod(1 + rng.normal(0.001, 0.01, 366)), num_resamples=50)
    returns = (
        np.diff(equity := np.cumprod(1 + np.random.default_rng(0).normal(0.001, 0.01, 366))) / equity[:-1]
    )
    plainly = bootstrap_interval(
        returns,
        lambda sample: float(sample.mean() / sample.std(ddof=1) * math.sqrt(365.25)),
        mean_block=5,
        num_resamples=50,
        level=0.9,
        seed=0,
    )
    assert found.sharpe_interval == pytest.approx(plainly)


@pytest.mark.slow
def test_intervals_hold_the_truth_about_nine_times_in_ten():
    """300 worlds of two years; a standard deviation of the share is 1.7 points."""
    rng = np.random.default_rng(5)
    time = (np.datetime64("2012-01-01") + np.arange(731)).astype("datetime64[ns]")
    root, held = math.sqrt(365.25), dict.fromkeys(("sharpe", "volatility", "alpha", "beta"), 0)
    for _ in range(300):
        market = rng.normal(0.0004, 0.01, 730)
        mine = 0.5 * market + rng.normal(0.0003, 0.006, 730)
        spread = math.sqrt(0.25 * 0.01**2 + 0.006**2)
        truth = {
            "sharpe": 0.0005 / spread * root,
            "volatility": spread * root,
            "alpha": 0.0003 * 365.25,
            "beta": 0.5,
        }
        mine, market = (np.cumprod(np.concatenate([[1.0], 1 + one])) for one in (mine, market))
        found = performance(mine, time, mean_block=9, num_resamples=300, seed=0, market=market)
        for name, value in truth.items():
            low, high = found.intervals[name]
            held[name] += low < value < high
    for name, count in held.items():
        assert 0.83 < count / 300 < 0.96, (name, count)


@pytest.mark.slow
def test_ffn_measures_the_same():
    """By bt's library of measures; it annualises by 252 and takes the downside's mean over all bars."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ffn = pytest.importorskip("ffn", reason="ffn is in the group oracles: uv sync --group oracles")
        import pandas as pd

        rng = np.random.default_rng(1)
        days = pd.bdate_range("2012-01-02", periods=1_500)
        curve = np.cumprod(np.concatenate([[1.0], 1 + rng.normal(0.0004, 0.01, 1_499)]))
        prices = pd.Series(curve, index=days)
        returns = prices.pct_change().dropna()
        found = performance(
            curve, days.to_numpy().astype("datetime64[ns]"), mean_block=5, num_resamples=0, seed=0
        )
        year = (1_499 / ((days[-1] - days[0]).days / 365.25)) / 252
        assert found.sharpe == pytest.approx(ffn.calc_sharpe(returns, nperiods=252) * year**0.5)
        assert found.sortino == pytest.approx(ffn.calc_sortino_ratio(returns, nperiods=252) * year**0.5)
        assert found.max_drawdown == pytest.approx(-ffn.calc_max_drawdown(prices))
        assert found.cagr == pytest.approx(ffn.calc_cagr(prices), rel=1e-3)
        assert found.calmar == pytest.approx(ffn.calc_calmar_ratio(prices), rel=1e-3)


@pytest.mark.slow
def test_a_thousand_resamples_of_all_measures_take_well_under_a_second():
    rng = np.random.default_rng(0)
    curve, market = np.cumprod(1 + rng.normal(0.0003, 0.01, (2, 2_500)), axis=1)
    time = (np.datetime64("2010-01-01") + np.arange(2_500)).astype("datetime64[ns]")
    began = process_time()
    performance(curve, time, mean_block=14, num_resamples=1_000, seed=0, market=market)
    assert process_time() - began < 1.0


def test_json_never_holds_nan():
    value = {
        "a": [1.0, math.nan, math.inf],
        "b": np.array([1.0, math.nan]),
        "c": (np.float64(2), None, True, 3),
    }
    cleaned = plain(value)
    assert cleaned == {"a": [1.0, None, None], "b": [1.0, None], "c": [2.0, None, True, 3]}
    json.dumps(cleaned, allow_nan=False)
