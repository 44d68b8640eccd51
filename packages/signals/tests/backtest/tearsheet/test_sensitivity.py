from __future__ import annotations

import numpy as np
import pytest

from marketgpt_signals.backtest import BacktestConfig, weights_from_signals
from marketgpt_signals.backtest.metrics import Performance
from marketgpt_signals.backtest.tearsheet.sensitivity import FACTORS, AtCost, break_even, cost_sensitivity
from marketgpt_signals.costs import CostModel


@pytest.fixture(scope="module")
def plan(tested):
    return weights_from_signals(tested.signals, tested.candles, horizon_bars=5)


def test_once_the_costs_is_the_backtest_and_none_is_its_gross(plan, tested):
    rows = {row.factor: row for row in cost_sensitivity(plan, tested.result.config)}
    assert tuple(rows) == FACTORS
    assert rows[1.0].net.total_return == tested.result.net.total_return
    assert rows[1.0].net.sharpe == tested.result.net.sharpe
    assert rows[1.0].costs_paid == tested.result.costs_paid
    assert rows[0.0].net.total_return == tested.result.gross.total_return
    assert rows[0.0].costs_paid == 0
    totals = [row.net.total_return for row in rows.values()]
    assert totals == sorted(totals, reverse=True)
    assert len(set(totals)) == len(totals)


def test_costs_beyond_what_an_option_allows_are_simulated_still(plan):
    rows = cost_sensitivity(plan, BacktestConfig(horizon_bars=5, cost=CostModel(fee_bps=500)))
    assert rows[-1].net.total_return < rows[2].net.total_return < 0


def test_costs_that_eat_the_account_in_one_trade_are_said(plan):
    heavy = BacktestConfig(horizon_bars=5).model_copy(
        update={"cost": CostModel().model_copy(update={"fee_bps": 4_000.0})}
    )
    most = np.abs(plan.weights).sum(axis=1).max()
    expected = [factor * heavy.cost.rate * most >= 1 for factor in FACTORS]
    assert True in expected
    assert [row.net is None for row in cost_sensitivity(plan, heavy)] == expected


def at(factor, total):
    return AtCost(factor, Performance(total, None, None, None, None, None, 0.0), 0.0)


def test_break_even_lies_between_its_neighbours():
    assert break_even([at(0.0, 0.3), at(1.0, 0.1), at(2.0, -0.1), at(3.0, -0.3)]) == pytest.approx(1.5)
    assert break_even([at(0.0, 0.3), at(1.0, 0.1)]) is None
    assert break_even([at(0.0, -0.3), at(1.0, -0.4), AtCost(2.0, None, None)]) is None
