"""The accounting against two engines written by others: vectorbt and bt.

What each can be asked is not the same, since both size orders *before* costs and we after them:

* vectorbt is fed our quantities as orders: cash, fees, reversals, gaps and marking are its own. It cannot
  charge borrow fees between orders.
* vectorbt is fed our weights where sizing before and after costs is the same thing: without fees, and with
  fees for all in, all out, of one asset.
* bt is fed our weights. What it has no word for, the borrow fee and the account after costs, the test works
  out from bt's own books, the latter by scipy, and charges; quantities, cash and values are bt's.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import brentq

from marketgpt_signals.backtest.kernel import simulate

pytestmark = pytest.mark.slow
SEEDS = range(6)
RATE, BORROW = 0.0007, 0.03


def oracle(name: str):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name, reason=f"{name} is in the group oracles: uv sync --group oracles")


@pytest.fixture(scope="module")
def vbt():
    return oracle("vectorbt")


@pytest.fixture(scope="module")
def bt():
    return oracle("bt")


def random_case(seed: int, *, num_bars: int = 250, num_assets: int = 6, gross: float = 0.95):
    """Prices with gaps, late starts and early ends; weights long, short, flat, reversing, and none (NaN)."""
    rng = np.random.default_rng(seed)
    walk = np.exp(np.cumsum(rng.normal(0, 0.02, (2 * num_bars, num_assets)), axis=0)) * 50
    opens, closes = walk[::2].copy(), walk[1::2].copy()
    silent = rng.random(opens.shape) < 0.1
    silent[:20, 0] = silent[-30:, 1] = True
    opens[silent] = closes[silent] = np.nan
    sides = rng.choice([-1.0, 0.0, 1.0], opens.shape) * rng.uniform(0.2, 1.0, opens.shape)
    weights = sides * gross / np.maximum(1.0, np.abs(sides).sum(axis=1, keepdims=True))
    kept = rng.random(opens.shape) < 0.4
    weights[1:][kept[1:]] = weights[:-1][kept[1:]]
    weights[rng.random(opens.shape) < 0.15] = np.nan
    years = rng.integers(1, 4, num_bars) / 365.25
    assert ((weights[1:] * weights[:-1]) < 0).sum() > 50  # reversals
    return opens, closes, weights, years


def marks(closes: np.ndarray) -> pd.DataFrame:
    """The last price known; 1 before there is any."""
    return pd.DataFrame(closes).ffill().fillna(1.0)


def shares_of(opens, closes, weights, years, rate, borrow):  # noqa: PLR0917
    equity, positions, _, _ = simulate(opens, closes, weights, years, rate, borrow)
    return equity, positions * equity[:, None] / marks(closes).to_numpy()


def by_vectorbt(vbt, opens, closes, size, size_type, *, fees=0.0, cash=1.0):
    known = marks(closes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        book = vbt.Portfolio.from_orders(
            known,
            size=size,
            size_type=size_type,
            price=pd.DataFrame(opens),
            val_price=pd.DataFrame(opens).where(~np.isnan(opens), known.shift(1)),
            fees=fees,
            init_cash=cash,
            cash_sharing=True,
            group_by=True,
            call_seq="auto",
            freq="D",
        )
        return np.asarray(book.value(), dtype=float).ravel(), book


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("rate", [0.0, RATE, 0.01])
def test_vectorbt_keeps_the_same_books_of_our_orders(vbt, seed, rate):
    opens, closes, weights, years = random_case(seed)
    equity, shares = shares_of(opens, closes, weights, years, rate, 0.0)
    orders = np.diff(shares, axis=0, prepend=0.0)
    orders[np.abs(orders) < 1e-12] = np.nan  # rounding
    assert not np.isfinite(orders[np.isnan(opens)]).any()  # nothing trades where there is no bar
    # It refuses orders without cash and drops those of 1e-8 shares: a larger account, and cash beside it.
    unit = 1e5
    theirs, book = by_vectorbt(vbt, opens, closes, orders * unit, "amount", fees=rate, cash=2 * unit)
    assert len(book.orders.records) == np.isfinite(orders).sum() > 500
    np.testing.assert_allclose(equity, theirs / unit - 1, rtol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_vectorbt_makes_the_same_of_our_weights_without_fees(vbt, seed):
    opens, closes, weights, years = random_case(seed, gross=0.5)
    equity = simulate(opens, closes, weights, years, 0.0, 0.0)[0]
    wanted = np.vstack([np.full((1, weights.shape[1]), np.nan), weights[:-1]])
    wanted[np.isnan(opens)] = np.nan
    theirs, _ = by_vectorbt(vbt, opens, closes, wanted, "targetpercent")
    np.testing.assert_allclose(equity, theirs, rtol=1e-9)


@pytest.mark.parametrize("seed", SEEDS)
def test_vectorbt_makes_the_same_of_all_in_all_out_with_fees(vbt, seed):
    opens, closes, _, years = random_case(seed, num_assets=6)
    opens, closes = opens[:, 2:3], closes[:, 2:3]
    rng = np.random.default_rng(seed)
    weights = rng.choice([0.0, 1.0, np.nan], opens.shape)
    equity = simulate(opens, closes, weights, years, RATE, 0.0)[0]
    wanted = np.vstack([[[np.nan]], weights[:-1]])
    wanted[np.isnan(opens)] = np.nan
    theirs, _ = by_vectorbt(vbt, opens, closes, wanted, "targetpercent", fees=RATE)
    np.testing.assert_allclose(equity, theirs, rtol=1e-9)


def by_bt(bt, opens, closes, weights, years, rate, borrow):  # noqa: PLR0917
    """Equity at closes and quantities traded, by bt: every bar is two of its days, open and close."""
    num_bars, num_assets = opens.shape
    names = [f"S{column}" for column in range(num_assets)]
    known = marks(closes).to_numpy()
    before = np.vstack([np.ones(num_assets), known[:-1]])
    prices = np.empty((2 * num_bars, num_assets))
    prices[::2], prices[1::2] = np.where(np.isnan(opens), before, opens), known
    days = pd.date_range("2000-01-01", periods=2 * num_bars)
    rows = {day: row for row, day in enumerate(days)}
    traded = np.zeros((num_bars, num_assets))

    class Trade(bt.Algo):
        def __call__(self, target) -> bool:
            t, is_close = divmod(rows[target.now], 2)
            if is_close or t == 0:
                return True
            held = np.array([target.children[name].position for name in names])
            short = -np.minimum(held, 0.0) @ known[t - 1]
            target.adjust(-short * borrow * years[t], flow=False)
            wanted = np.where(np.isnan(opens[t]), np.nan, weights[t - 1])
            columns = np.flatnonzero(~np.isnan(wanted))
            if not len(columns):
                return True
            value, aim = held[columns] * prices[2 * t, columns], wanted[columns]
            before = target.value
            after = before
            if rate:
                gap = lambda e: before - rate * np.abs(aim * e - value).sum() - e  # noqa: E731
                after = brentq(gap, 0.5 * before, 1.001 * before, xtol=1e-15, rtol=1e-14)
            target.adjust(after - before, flow=False)
            for column in columns:
                target.rebalance(wanted[column], child=names[column], base=after, update=False)
            target.root.update(target.now)
            now = np.array([target.children[name].position for name in names])
            traded[t] = now - held
            return True

    strategy = bt.Strategy("ours", [Trade()], children=[bt.Security(name) for name in names])
    test = bt.Backtest(
        strategy,
        pd.DataFrame(prices, index=days, columns=names),
        initial_capital=1.0,
        integer_positions=False,
        progress_bar=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test.run()
    values = test.strategy.values.loc[days].to_numpy()
    return values[1::2], traded


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("rate", "borrow"), [(0.0, 0.0), (RATE, BORROW)])
def test_bt_makes_the_same_trades_and_equity(bt, seed, rate, borrow):
    case = random_case(seed, num_bars=120)
    equity, shares = shares_of(*case, rate, borrow)
    theirs, traded = by_bt(bt, *case, rate, borrow)
    ours = np.diff(shares, axis=0, prepend=0.0)
    np.testing.assert_allclose(equity, theirs, rtol=1e-9)
    np.testing.assert_allclose(ours, traded, rtol=1e-9, atol=1e-13)
    np.testing.assert_array_equal(np.abs(ours) > 1e-12, np.abs(traded) > 1e-12)  # same days, same assets
    assert (np.abs(ours) > 1e-12).sum() > 200
