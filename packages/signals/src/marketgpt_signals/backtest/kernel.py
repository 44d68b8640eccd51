"""The accounting of a backtest, compiled. T bars, A assets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

_MOST_ROUNDS = 100
_ENOUGH = 1e-15

Simulation = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        compiled: Callable[..., Any] = numba.njit(cache=True)(function)
    except RuntimeError:
        # Neither the package nor the user's cache folder can be written: compile anew in each process.
        compiled = numba.njit(function)
    return compiled


@_compile
def _rebalance(  # noqa: PLR0917 - numba knows no keyword-only arguments
    prices: NDArray[np.float64],
    targets: NDArray[np.float64],
    shares: NDArray[np.float64],
    value: NDArray[np.float64],
    before: float,
    rate: float,
) -> tuple[float, float]:
    """Bring ``shares`` to their targets in place; return (notional traded, net notional bought)."""
    after, traded = before, 0.0
    for _ in range(_MOST_ROUNDS):
        traded = 0.0
        for a in range(len(prices)):
            if not (np.isnan(prices[a]) or np.isnan(targets[a])):
                traded += abs(targets[a] * after - value[a])
        change = before - rate * traded - after
        after += change
        if abs(change) <= _ENOUGH * before:
            break
    bought = 0.0
    for a in range(len(prices)):
        if not (np.isnan(prices[a]) or np.isnan(targets[a])):
            shares[a] = targets[a] * after / prices[a]
            bought += targets[a] * after - value[a]
    return traded, bought


@_compile
def simulate(  # noqa: PLR0917 - see above
    opens: NDArray[np.float64],
    closes: NDArray[np.float64],
    weights: NDArray[np.float64],
    years: NDArray[np.float64],
    rate: float,
    borrow_rate: float,
) -> Simulation:
    """Trade target weights decided at each close at the next open.

    At bar t, in this order:

    1. Shorts carried over from bar t - 1 pay ``borrow_rate x years[t]`` of their value at its close.
    2. The account is valued at the opens of bar t. Assets that trade (open not NaN) and have a target
       (``weights[t - 1]`` not NaN) are brought to it; all others are left as they are. With v the values
       held, w the targets and E the account's value, the account after costs, E', solves
       E' = E - rate x sum |w E' - v|, so that the weights hold *after* costs and a constant weight of 1
       never trades again.
    3. The account is marked at the closes; an asset that does not trade keeps its last price.

    Cash earns nothing and may be negative (leverage) without interest. An account at or below zero is
    closed and stays at zero.

    Args:
        opens: shape (T, A), quote currency, NaN where the asset does not trade.
        closes: shape (T, A), likewise.
        weights: shape (T, A): signed fraction of the account's value wanted after the close of bar t.
        years: shape (T,): wall time since the previous bar, in years.
        rate: Cost of trading one unit of notional; ``rate x sum |w|`` must stay below 1.
        borrow_rate: Cost of a short a year, fraction of its value.

    Returns:
        equity (T,), 1.0 at the start; positions (T, A), fraction of equity at the close; turnover (T,),
        notional traded over the account at the open; costs (T,), fees, slippage and borrow in units of the
        starting equity.
    """
    num_bars, num_assets = opens.shape
    equity, turnover, costs = np.zeros(num_bars), np.zeros(num_bars), np.zeros(num_bars)
    positions = np.zeros((num_bars, num_assets))
    shares, last, value = np.zeros(num_assets), np.zeros(num_assets), np.zeros(num_assets)
    cash = 1.0
    for t in range(num_bars):
        if t > 0:
            before = cash
            for a in range(num_assets):
                if shares[a] < 0:
                    costs[t] -= shares[a] * last[a] * borrow_rate * years[t]
                if not np.isnan(opens[t, a]):
                    last[a] = opens[t, a]
                value[a] = shares[a] * last[a]
                before += value[a]
            before -= costs[t]
            if before <= 0:
                break
            traded, bought = _rebalance(opens[t], weights[t - 1], shares, value, before, rate)
            cash -= costs[t] + bought + rate * traded
            costs[t] += rate * traded
            turnover[t] = traded / before
        account = cash
        for a in range(num_assets):
            if not np.isnan(closes[t, a]):
                last[a] = closes[t, a]
            positions[t, a] = shares[a] * last[a]
            account += positions[t, a]
        if account <= 0:
            positions[t] = 0.0
            break
        equity[t] = account
        positions[t] /= account
    return equity, positions, turnover, costs
