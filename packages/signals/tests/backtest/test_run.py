from __future__ import annotations

import json
from datetime import UTC, datetime

import numpy as np
import pytest

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError, DataError
from marketgpt_core.signal import Side, Signal
from marketgpt_core.testing import make_candles
from marketgpt_signals.backtest import BacktestConfig, backtest_signals, backtest_weights, price_grid
from marketgpt_signals.backtest.run import buy_and_hold
from marketgpt_signals.costs import CostModel
from marketgpt_signals.resolve import outcome_for

QUICK = BacktestConfig(num_resamples=0)
FREE = CostModel(fee_bps=0, slippage_bps=0, borrow_bps_per_year=0)


def signals_from(make_signal, candles: Candles, sides: np.ndarray, horizon_bars: int) -> list[Signal]:
    """One signal a symbol and bar; sides of shape (T, A) in {-1, 0, 1}."""
    names = {1: Side.LONG, 0: Side.FLAT, -1: Side.SHORT}
    return [
        make_signal(
            symbol=symbol,
            as_of=datetime.fromisoformat(str(moment)[:10]).replace(tzinfo=UTC),
            side=names[int(sides[row, column])],
            horizon_bars=horizon_bars,
        )
        for column, symbol in enumerate(candles)
        for row, moment in enumerate(candles[symbol].time)
    ]


def test_always_long_is_buy_and_hold():
    grid = price_grid([make_candles(["AAA"], num_candles=400)["AAA"]])
    result = backtest_weights(grid, np.ones_like(grid.open), QUICK)
    np.testing.assert_allclose(result.equity, result.benchmark, rtol=1e-12)
    assert result.turnover[1] == pytest.approx(1 / 1.0007)
    assert result.turnover[2:].sum() == pytest.approx(0, abs=1e-12)
    assert result.costs_paid == pytest.approx(1 - 1 / 1.0007)
    assert result.exposure == pytest.approx(399 / 400)
    # In words: one share bought at the first open after the decision, less the fee.
    assert result.equity[-1] == pytest.approx(grid.close[-1, 0] / grid.open[1, 0] / 1.0007)


def test_always_long_signals_are_buy_and_hold_once_the_cohorts_are_full(make_signal):
    candles = make_candles(["AAA"], num_candles=120)
    signals = signals_from(make_signal, candles, np.ones((120, 1)), 1)
    result = backtest_signals(signals, candles, BacktestConfig(horizon_bars=1, num_resamples=0))
    np.testing.assert_allclose(result.equity, result.benchmark, rtol=1e-12)
    assert result.net.total_return == pytest.approx(result.hold.total_return)
    assert result.net.sharpe == pytest.approx(result.hold.sharpe)


def test_buy_and_hold_is_an_equal_start_and_no_trading():
    candles = make_candles(["AAA", "BBB", "CCC"], num_candles=50)
    late = candles["CCC"][20:]
    grid = price_grid([candles["AAA"], candles["BBB"], late])
    equity = buy_and_hold(grid, CostModel())
    parts = [
        candles["AAA"].close[-1] / candles["AAA"].open[1],
        candles["BBB"].close[-1] / candles["BBB"].open[1],
        late.close[-1] / late.open[0],
    ]
    assert equity[0] == 1.0
    assert equity[-1] == pytest.approx(np.mean(parts) / 1.0007)
    gone = price_grid([candles["AAA"], candles["BBB"][:10]])
    ended = candles["BBB"].close[9] / candles["BBB"].open[1]
    assert buy_and_hold(gone, FREE)[-1] == pytest.approx(
        (candles["AAA"].close[-1] / candles["AAA"].open[1] + ended) / 2
    )


def test_one_trade_earns_what_its_outcome_says(make_signal):
    """Backtest and ledger use one convention: same entry, same exit, same costs."""
    candles = make_candles(["AAA"], num_candles=40)
    at = datetime.fromisoformat(str(candles["AAA"].time[10])[:10]).replace(tzinfo=UTC)
    for side in (Side.LONG, Side.SHORT):
        signal = make_signal(as_of=at, side=side, horizon_bars=1)
        result = backtest_signals([signal], candles, BacktestConfig(horizon_bars=1, num_resamples=0))
        outcome = outcome_for(signal, candles["AAA"], CostModel(), resolved_at=at)
        # The account also pays the fee out of what it invests: equal to first order in the costs.
        assert result.equity[-1] - 1 == pytest.approx(outcome.net_return, abs=2e-5)
        free = backtest_signals([signal], candles, BacktestConfig(horizon_bars=1, num_resamples=0, cost=FREE))
        gross = outcome_for(signal, candles["AAA"], FREE, resolved_at=at)
        assert free.equity[-1] - 1 == pytest.approx(gross.net_return, abs=1e-12)
        assert result.gross_equity[-1] == pytest.approx(free.equity[-1], abs=1e-12)
        assert result.trades.num_closed == 1
        assert result.trades.mean_net_return == outcome.net_return


def test_random_signals_lose_about_their_costs(make_signal):
    """On a random walk sides drawn by lot earn nothing before costs, and lose the costs after them."""
    candles = make_candles([f"S{i:02d}" for i in range(20)], num_candles=500)
    sides = np.random.default_rng(5).choice([-1, 0, 1], (500, 20))
    cost = CostModel(borrow_bps_per_year=0)
    config = BacktestConfig(horizon_bars=5, cost=cost, num_resamples=0)
    result = backtest_signals(signals_from(make_signal, candles, sides, 5), candles, config)
    gross, net = (np.diff(curve) / curve[:-1] for curve in (result.gross_equity, result.equity))
    error = gross.std(ddof=1) / np.sqrt(len(gross))
    assert abs(gross.mean()) < 3 * error
    lost = gross.mean() - net.mean()
    assert lost == pytest.approx(cost.rate * result.turnover[1:].mean(), rel=0.01)
    assert lost > 3 * error  # the costs are large enough for this test to see them
    # One side in h is renewed a bar: the mean move from side to side, |1|, |2| or 0, is 8/9.
    assert result.turnover[10:-10].mean() == pytest.approx(8 / 9 / 5, rel=0.1)
    low, high = result.trades.hit_interval
    assert low < 0.5 < high


def test_a_peek_of_one_bar_is_worth_a_fortune_and_the_honest_bar_nothing():
    """The planted leak: had bar t's own move been tradable at its open, momentum would print money."""
    candles = make_candles([f"S{i}" for i in range(5)], num_candles=500)
    grid = price_grid(list(candles.values()))
    config = BacktestConfig(horizon_bars=1, cost=FREE, num_resamples=0)
    knows = np.sign(grid.close - grid.open) / 5  # known at the close of the bar
    honest = backtest_weights(grid, knows, config)
    leaked = np.vstack([knows[1:], np.zeros((1, 5))])  # the same, a bar too early
    peeking = backtest_weights(grid, leaked, config)
    assert peeking.net.sharpe > 15
    assert abs(honest.net.sharpe) < 2.5
    assert peeking.net.total_return > 10 * abs(honest.net.total_return)


def test_a_leak_in_the_engine_would_be_caught():
    """Poison: candles after bar k may be anything; what was earned by bar k stays the same."""
    candles = make_candles(["AAA", "BBB"], num_candles=80)
    grid = price_grid(list(candles.values()))
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.4, grid.open.shape)
    whole = backtest_weights(grid, weights, QUICK)
    for k in (1, 20, 60):
        opens, closes, poisoned = grid.open.copy(), grid.close.copy(), weights.copy()
        opens[k + 1 :], closes[k + 1 :], poisoned[k:] = 1e6, 1e-6, 0.1
        other = backtest_weights(type(grid)(grid.time, grid.symbols, opens, closes), poisoned, QUICK)
        for name in ("equity", "gross_equity", "benchmark", "turnover", "costs", "positions"):
            np.testing.assert_array_equal(getattr(other, name)[: k + 1], getattr(whole, name)[: k + 1], name)


def test_gross_minus_net_grows_with_costs(make_signal):
    candles = make_candles(["AAA", "BBB"], num_candles=200)
    sides = np.random.default_rng(0).choice([-1, 1], (200, 2))
    signals = signals_from(make_signal, candles, sides, 3)
    ends = []
    for fee_bps in (0, 5, 20, 80):
        config = BacktestConfig(horizon_bars=3, cost=CostModel(fee_bps=fee_bps), num_resamples=0)
        result = backtest_signals(signals, candles, config)
        assert result.gross.total_return > result.net.total_return
        ends.append(result.equity[-1])
    assert ends == sorted(ends, reverse=True)
    assert (
        result.gross
        == backtest_signals(signals, candles, BacktestConfig(horizon_bars=3, num_resamples=0)).gross
    )


def test_everything_is_json_even_when_nothing_was_traded(make_signal):
    candles = make_candles(["AAA"], num_candles=30)
    flat = backtest_signals(
        signals_from(make_signal, candles, np.zeros((30, 1)), 2), candles, BacktestConfig(horizon_bars=2)
    )
    content = json.loads(json.dumps(flat.to_json(), allow_nan=False))
    assert content["net"]["total_return"] == 0
    assert content["net"]["sharpe"] is None
    told = content["trades"]
    assert (told["num_closed"], told["num_flat"], told["intervals"]) == (0, 27, {})
    assert {told[name] for name in ("hit_rate", "hit_interval", "profit_factor", "win_rate")} == {None}
    assert content["series"]["equity"] == [1.0] * 30
    assert len(content["series"]["time"]) == content["num_bars"] == 30
    assert content["config"]["cost"]["fee_bps"] == 5
    assert "series" not in flat.to_json(series=False)


def test_the_summary_adds_up(make_signal):
    candles = make_candles(["AAA", "BBB"], num_candles=100)
    sides = np.random.default_rng(0).choice([-1, 1], (100, 2))
    result = backtest_signals(
        signals_from(make_signal, candles, sides, 4), candles, BacktestConfig(horizon_bars=4)
    )
    content = result.to_json()
    years = (result.time[-1] - result.time[0]) / np.timedelta64(1, "D") / 365.25
    assert content["turnover_per_year"] == pytest.approx(sum(content["series"]["turnover"]) / years)
    assert content["costs_paid"] == pytest.approx(sum(content["series"]["costs"]))
    assert content["exposure"] == pytest.approx(np.abs(content["series"]["positions"]).sum(axis=1).mean())
    assert (
        content["net"]["sharpe_interval"][0] < content["net"]["sharpe"] < content["net"]["sharpe_interval"][1]
    )
    assert content["trades"]["num_closed"] == 2 * 95


def test_weights_that_make_no_sense_are_refused():
    grid = price_grid([make_candles(["AAA"], num_candles=10)["AAA"]])
    with pytest.raises(DataError, match=r"weights have shape \(10,\), the prices \(10, 1\)"):
        backtest_weights(grid, np.ones(10), QUICK)
    with pytest.raises(DataError, match="weights must be finite"):
        backtest_weights(grid, np.full((10, 1), np.inf), QUICK)
    dear = BacktestConfig(cost=CostModel(fee_bps=500, slippage_bps=500))
    with pytest.raises(ConfigError, match=r"10.00% a trade at 10.0 times leverage"):
        backtest_weights(grid, np.full((10, 1), 10.0), dear)
