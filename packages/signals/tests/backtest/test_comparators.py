"""What knows nothing earns nothing but its costs, and what knows something is seen beside it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from marketgpt_signals.backtest import Grid, Plan
from marketgpt_signals.backtest.comparators import always_long, random_signals
from marketgpt_signals.backtest.kernel import simulate
from marketgpt_signals.backtest.metrics import bar_years
from marketgpt_signals.backtest.weights import Cohorts
from marketgpt_signals.costs import CostModel

COST = CostModel(fee_bps=20, slippage_bps=5, borrow_bps_per_year=300)


def martingale(rng: np.random.Generator, num_bars: int, num_assets: int) -> Grid:
    """Prices whose expected simple return is zero over every half bar."""
    moves = 1 + rng.normal(0, 0.01, (2 * num_bars, num_assets))
    walk = 100 * np.cumprod(moves, axis=0)
    time = np.datetime64("2016-01-01", "ns") + np.arange(num_bars) * np.timedelta64(1, "D")
    return Grid(time, tuple(f"S{column}" for column in range(num_assets)), walk[::2], walk[1::2])


def plan_of(grid: Grid, sides: np.ndarray, horizon_bars: int) -> Plan:
    num_bars, num_assets = sides.shape
    rows = tuple(np.arange(num_bars) for _ in range(num_assets))
    own = np.tile(np.arange(num_bars)[:, None], num_assets)
    cohorts = Cohorts(horizon_bars, rows, tuple(sides.T.astype(float)), own)
    return Plan(grid, cohorts.weights(cohorts.sided), (), 0, cohorts)


def total_return(plan: Plan, cost: CostModel = COST) -> float:
    grid = plan.grid
    prices = (grid.open, grid.close, plan.weights, bar_years(grid.time))
    return simulate(*prices, cost.rate, cost.borrow_rate)[0][-1] - 1


def test_random_signals_lose_exactly_their_costs_on_average():
    """Over 400 worlds: what was lost less what was paid is zero, within three standard errors.

    With prices that are a martingale the expectation of equity is 1 less the expected costs, whatever is
    held; the standard error is a tenth of the costs, so that costs forgotten or charged twice are seen.
    """
    rng = np.random.default_rng(0)
    net, gross, paid = np.zeros((3, 400))
    for world in range(400):
        grid = martingale(rng, 150, 4)
        plan = plan_of(grid, rng.choice([-1, 0, 1], (150, 4)), 3)
        prices = (grid.open, grid.close, plan.weights, bar_years(grid.time))
        equity, _, _, costs = simulate(*prices, COST.rate, COST.borrow_rate)
        net[world], paid[world] = equity[-1] - 1, costs.sum()
        gross[world] = simulate(*prices, 0.0, 0.0)[0][-1] - 1

    def error(values):
        return values.std(ddof=1) / np.sqrt(len(values))

    assert abs((net + paid).mean()) < 3 * error(net + paid)
    assert abs(gross.mean()) < 3 * error(gross)
    assert paid.mean() > 10 * error(net + paid)
    assert net.mean() < -10 * error(net)


@pytest.mark.parametrize("lasts", [1, 10, 60])
def test_draws_have_the_turnover_of_the_signals_however_long_sides_last(lasts):
    rng = np.random.default_rng(1)
    sides = np.repeat(rng.choice([-1, 0, 1, 1], (-(-400 // lasts), 3)), lasts, axis=0)[:400]
    grid = martingale(rng, 400, 3)
    plan = plan_of(grid, sides, 10)
    prices = (grid.open, grid.close, plan.weights, bar_years(grid.time))
    traded = simulate(*prices, COST.rate, COST.borrow_rate)[2].sum() / (399 / 365.25)
    for draws in random_signals(plan, COST, num_draws=50, seed=0):
        assert draws.turnover.mean() == pytest.approx(traded, rel=0.02 + lasts / 500)  # the seam
        assert draws.turnover.std() < 0.1 * traded
        # Costs are all that parts net from gross.
        assert (draws.total_return < draws.gross_return).all()


def test_what_was_said_is_never_drawn_again():
    """A strategy that knows the coming bar earns nothing in any draw."""
    rng = np.random.default_rng(6)
    grid = martingale(rng, 60, 1)
    knows = np.sign(np.vstack([grid.close[1:] / grid.open[1:] - 1, [[0.0]]]))
    plan = plan_of(grid, knows, 1)
    for draws in random_signals(plan, COST, num_draws=300, seed=0):
        assert draws.total_return.max() < 0.5 * total_return(plan)


def test_the_share_beaten_by_noise_is_uniform():
    """A strategy without skill is a draw like the others: the shares are no evidence of anything."""
    rng = np.random.default_rng(12)
    apart, together = [], []
    for _ in range(120):
        plan = plan_of(martingale(rng, 80, 3), rng.choice([-1, 1], (80, 3)), 2)
        drawn = random_signals(plan, COST, num_draws=39, seed=int(rng.integers(1 << 30)))
        for shares, draws in zip((apart, together), drawn, strict=True):
            shares.append(draws.share_below(total_return(plan)))
    for shares in (apart, together):
        assert stats.kstest(shares, "uniform").pvalue > 0.01


def test_a_strategy_that_knows_beats_all_draws_and_its_permuted_forecasts_have_no_edge():
    rng = np.random.default_rng(3)
    grid = martingale(rng, 400, 4)
    coming = np.sign(np.vstack([grid.close[2:] / grid.open[1:-1] - 1, np.zeros((2, 4))]))
    knows = np.where(rng.random(coming.shape) < 0.2, coming, rng.choice([-1, 1], coming.shape))
    plan = plan_of(grid, knows, 1)
    free = CostModel(fee_bps=0, slippage_bps=0, borrow_bps_per_year=0)
    mine = total_return(plan, free)
    for draws in random_signals(plan, free, num_draws=200, seed=0):
        assert draws.share_below(mine) > 0.99
        error = draws.gross_return.std(ddof=1)  # all draws live in one world: its spread, not that of a mean
        assert abs(draws.gross_return.mean()) < error


def test_always_long_is_all_of_the_budget_and_abstentions_too():
    grid = martingale(np.random.default_rng(4), 30, 2)
    sides = np.random.default_rng(4).choice([-1, 0, 1], (30, 2))
    weights = always_long(plan_of(grid, sides, 3).cohorts)
    np.testing.assert_allclose(weights[2:], 0.5)
    np.testing.assert_allclose(weights[:2, 0], [0.5 / 3, 1 / 3])


def test_ties_count_half_and_none_is_drawn_when_none_is_wanted():
    grid = martingale(np.random.default_rng(5), 40, 2)
    plan = plan_of(grid, np.ones((40, 2)), 5)
    random, _ = random_signals(plan, COST, num_draws=10, seed=0)
    assert random.share_below(total_return(plan)) == 0.5  # LONG at other times is LONG
    assert random_signals(plan, COST, num_draws=0, seed=0) is None
    told = random.to_json(0.0, float(random.sharpe[0]))
    assert told["share_below_sharpe"] == 0.5
    assert random.to_json(0.0, None)["share_below_sharpe"] is None
    assert told["num_draws"] == 10
    assert told["mean_total_return"] == pytest.approx(random.total_return.mean())
