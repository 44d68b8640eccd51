"""The compiled accounting against a slow one in plain numpy, and against sums done by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from marketgpt_signals.backtest.kernel import simulate


def reference(opens, closes, weights, years, rate, borrow_rate):  # noqa: PLR0917
    """The same rules, written as differently as can be: bisection, vectors, no state but shares and cash."""
    num_bars, num_assets = opens.shape
    equity, turnover, costs = np.zeros(num_bars), np.zeros(num_bars), np.zeros(num_bars)
    positions = np.zeros_like(opens)
    shares, cash, last = np.zeros(num_assets), 1.0, np.zeros(num_assets)
    for t in range(num_bars):
        if t > 0:
            borrow = -(shares * last)[shares < 0].sum() * borrow_rate * years[t]
            price = np.where(np.isnan(opens[t]), last, opens[t])
            held = shares * price
            before = cash + held.sum() - borrow
            costs[t] = borrow
            if before <= 0:
                break
            trades = ~np.isnan(opens[t]) & ~np.isnan(weights[t - 1])
            target = weights[t - 1][trades]
            low, high = 0.0, before
            for _ in range(70):
                middle = (low + high) / 2
                if before - rate * np.abs(target * middle - held[trades]).sum() > middle:
                    low = middle
                else:
                    high = middle
            wanted = held.copy()
            wanted[trades] = target * middle
            notional = np.abs(wanted - held).sum()
            cash += held.sum() - wanted.sum() - borrow - rate * notional
            shares = np.where(trades, wanted / np.where(price == 0, 1, price), shares)
            last = price
            turnover[t], costs[t] = notional / before, borrow + rate * notional
        last = np.where(np.isnan(closes[t]), last, closes[t])
        value = cash + (shares * last).sum()
        if value <= 0:
            break
        equity[t], positions[t] = value, shares * last / value
    return equity, positions, turnover, costs


def random_case(seed: int, *, num_bars: int = 60, num_assets: int = 4, volatility: float = 0.03):
    rng = np.random.default_rng(seed)
    walk = np.exp(np.cumsum(rng.normal(0, volatility, (2 * num_bars, num_assets)), axis=0)) * 50
    opens, closes = walk[::2].copy(), walk[1::2].copy()
    silent = rng.random(opens.shape) < 0.15
    silent[: rng.integers(0, 10), 0] = True  # starts to trade late
    opens[silent], closes[silent] = np.nan, np.nan
    weights = rng.normal(0, 0.5, opens.shape)
    weights[rng.random(opens.shape) < 0.2] = np.nan
    years = rng.uniform(0.5, 3, num_bars) / 365.25
    return opens, closes, weights, years


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("rate", "borrow_rate"), [(0.0, 0.0), (0.0007, 0.005), (0.05, 2.0)])
def test_equals_the_reference_on_random_matrices(seed, rate, borrow_rate):
    case = random_case(seed)
    expected = reference(*case, rate, borrow_rate)
    for found, wanted in zip(simulate(*case, rate, borrow_rate), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-12)
    assert expected[0][0] == 1.0
    assert expected[2].sum() > 0


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_reference_where_trading_nearly_eats_the_account(seed):
    """Costs of 95% of all that can be traded: to walk there step by step would take hundreds of rounds."""
    opens, closes, weights, years = random_case(seed, num_bars=12)
    weights *= 0.95 / 0.05 / np.nansum(np.abs(weights), axis=1, keepdims=True).clip(1e-9)
    case = (opens, closes, weights, years, 0.05, 0.01)
    expected, ends = reference(*case), simulate(*case)[0] <= 0
    assert (~ends).sum() > 3
    for found, wanted in zip(simulate(*case), expected, strict=True):
        np.testing.assert_allclose(found[~ends], wanted[~ends], rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(expected[0][ends], 0, atol=1e-12)


@pytest.mark.parametrize("seed", range(10))
def test_equals_the_reference_up_to_ruin(seed):
    case = random_case(seed, volatility=0.25)
    expected = reference(*case, 0.001, 0.01)
    for found, wanted in zip(simulate(*case, 0.001, 0.01), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-7, atol=1e-12)


def test_ruin_is_among_those_cases():
    ends = [simulate(*random_case(seed, volatility=0.25), 0.001, 0.01)[0][-1] for seed in range(10)]
    assert 0 < sum(end == 0 for end in ends) < 10


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=float)[:, None]


def test_a_long_by_hand():
    opens, closes = column(10, 20, 30, 40), column(15, 25, 35, 45)
    weights, years = column(1, 1, 0, 0), np.zeros(4)
    equity, positions, turnover, costs = simulate(opens, closes, weights, years, 0.25, 0.0)
    # Bought at 20 with 0.8 of the account (0.2 are the fee), sold at 40 less a quarter of what they bring.
    shares = 0.8 / 20
    np.testing.assert_allclose(equity, [1, 25 * shares, 35 * shares, 40 * shares * 0.75])
    np.testing.assert_allclose(positions[:, 0], [0, 1, 1, 0])
    np.testing.assert_allclose(turnover, [0, 0.8, 0, 1])
    np.testing.assert_allclose(costs, [0, 0.2, 0, 0.4])


def test_a_short_by_hand():
    opens, closes = column(10, 20, 22, 10), column(15, 21, 23, 12)
    weights, years = column(-0.5, np.nan, 0, 0), np.array([0, 0.1, 0.1, 0.1])
    equity, _positions, _turnover, costs = simulate(opens, closes, weights, years, 0.0, 0.10)
    shares = 0.5 / 20
    # The fee of a bar is on the close before it; the first bar held has none before it.
    fees = np.cumsum([0, 0, shares * 21 * 0.01, shares * 23 * 0.01])
    np.testing.assert_allclose(np.cumsum(costs), fees)
    np.testing.assert_allclose(equity, np.array([1, 1 - shares, 1 - 3 * shares, 1 + 10 * shares]) - fees)


def test_nothing_is_traded_at_a_price_that_was_known():
    """The decision after the close of bar 1 fills at the open of bar 2, not at anything before."""
    opens, closes = column(10, 10, 50, 50), column(10, 40, 50, 50)
    equity = simulate(opens, closes, column(0, 1, 1, 1), np.zeros(4), 0.0, 0.0)[0]
    np.testing.assert_array_equal(equity, np.ones(4))


def test_a_bar_without_trading_holds_the_position_at_its_last_price():
    nan = np.nan
    opens, closes = column(10, 10, nan, 30, 30), column(10, 20, nan, 30, 30)
    equity, positions, turnover, _ = simulate(opens, closes, column(1, 0, 0, 0, 0), np.zeros(5), 0.0, 0.0)
    # The sale decided after bar 1 cannot be made at bar 2; what is wanted after bar 2 is sold at bar 3.
    np.testing.assert_allclose(equity, [1, 2, 2, 3, 3])
    np.testing.assert_allclose(positions[:, 0], [0, 1, 1, 0, 0])
    np.testing.assert_allclose(turnover, [0, 1, 0, 1, 0])


def test_an_account_that_is_gone_stays_gone():
    opens, closes = column(10, 10, 30, 10, 10), column(10, 10, 30, 10, 10)
    equity, positions, _, _ = simulate(opens, closes, column(-1, -1, -1, -1, -1), np.zeros(5), 0.0, 0.0)
    np.testing.assert_allclose(equity, [1, 1, 0, 0, 0])
    np.testing.assert_allclose(positions[2:], 0)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), rate=st.floats(0, 0.05), more=st.floats(0.0001, 0.05))
def test_dearer_trading_never_pays(seed, rate, more):
    case = random_case(seed, num_bars=20)
    cheap, dear = (simulate(*case, r, 0.0) for r in (rate, rate + more))
    if cheap[0].min() > 0:
        assert dear[0][-1] < cheap[0][-1]
        # Weights hold after costs: exposure is the same, whatever trading costs.
        assert dear[3].sum() > 0


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(0.01, 100), cut=st.integers(2, 19))
def test_neither_the_unit_of_prices_nor_the_future_matters(seed, scale, cut):
    opens, closes, weights, years = random_case(seed, num_bars=20)
    whole = simulate(opens, closes, weights, years, 0.001, 0.01)
    scaled = simulate(opens * scale, closes * scale, weights, years, 0.001, 0.01)
    part = simulate(opens[:cut], closes[:cut], weights[:cut], years[:cut], 0.001, 0.01)
    for full, other, prefix in zip(whole, scaled, part, strict=True):
        np.testing.assert_allclose(other, full, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(prefix, full[:cut])


def test_a_package_folder_that_cannot_be_written_is_no_obstacle(monkeypatch):
    """Then there is nowhere to keep compiled code, and it is compiled anew."""
    import numba

    from marketgpt_signals.backtest import kernel

    def refuse(function):
        raise RuntimeError("cannot cache function: no locator available")

    def njit(*, cache=False, error_model):
        if cache:
            return refuse
        return lambda function: function

    monkeypatch.setattr(numba, "njit", njit)
    assert kernel._compile(abs) is abs
