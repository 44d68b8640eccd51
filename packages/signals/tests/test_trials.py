from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from marketgpt_core.testing import make_candles
from marketgpt_signals.backtest import BacktestConfig, backtest_weights, price_grid
from marketgpt_signals.costs import CostModel
from marketgpt_signals.records import BacktestRecord
from marketgpt_signals.trials import deflated, recorded_trials, trial_of

AT = datetime(2020, 1, 1, tzinfo=UTC)
CANDLES = make_candles(["AAA", "BBB", "CCC"], num_candles=120, start="2016-01-04")
QUICK = BacktestConfig(num_resamples=0)


def backtest(
    draw: int = 0, /, symbols: tuple[str, ...] = ("AAA", "BBB"), rows: slice = slice(None), **config
):
    grid = price_grid([CANDLES[symbol][rows] for symbol in symbols])
    weights = np.random.default_rng(draw).normal(0, 0.3, grid.open.shape)
    return backtest_weights(grid, weights, QUICK.model_copy(update=config))


def record(result, **metrics) -> BacktestRecord:
    told = result.to_json(series=False) | metrics
    return BacktestRecord(told.pop("config"), told, "f", AT, AT, "0.1.0", AT)


def test_what_is_traded_is_the_identity_and_nothing_else():
    one = backtest()
    assert backtest(num_resamples=100, seed=1).digest == one.digest
    assert backtest(1).digest != one.digest
    assert backtest(cost=CostModel(fee_bps=6)).digest != one.digest
    assert backtest(symbols=("AAA", "CCC")).digest != one.digest
    assert backtest(rows=slice(1, None)).digest != one.digest
    again = replace(record(one), code_revision="0.2.0", created_at=AT.replace(year=2021))
    assert list(recorded_trials([record(one), again])) == [one.digest]


def test_trials_on_these_symbols_at_this_time_are_charged():
    own = backtest(0)
    others = [backtest(seed) for seed in range(1, 20)]
    apart = backtest(50, symbols=("CCC",))
    early, late = backtest(51, rows=slice(0, 60)), backtest(52, rows=slice(60, None))
    alone = deflated(own, []).deflated
    assert (alone.num_trials, alone.threshold) == (1, 0.0)
    assert alone.probability == own.net.probabilistic_sharpe
    found = deflated(own, [record(one) for one in (*others, apart, own)]).deflated
    assert found.num_trials == 20
    assert found.threshold > 0
    assert found.probability < alone.probability
    assert deflated(own, [record(early), record(late)]).deflated.num_trials == 3
    assert deflated(late, [record(early)]).deflated.num_trials == 1


def test_an_account_that_never_moved_is_no_trial_that_counts():
    grid = price_grid([CANDLES["AAA"]])
    flat = backtest_weights(grid, np.zeros_like(grid.open), QUICK)
    assert trial_of(flat).sharpe is None
    assert deflated(flat, []).deflated is None
    assert deflated(backtest(), [record(flat)]).deflated.num_trials == 1


def test_records_of_before_count_each():
    own = backtest()
    old = record(backtest(1), digest=None, moments=None)
    [trial] = recorded_trials([old]).values()
    assert trial.digest == old.id
    assert trial.sharpe == pytest.approx(backtest(1).moments.sharpe)
    assert deflated(own, [old]).deflated.num_trials == 2
    assert recorded_trials([BacktestRecord({}, {"sharpe": 1.0}, "f", AT, AT, "0.1.0", AT)]) == {}
