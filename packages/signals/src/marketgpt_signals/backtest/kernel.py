"""The accounting of a backtest, compiled. T bars, A assets."""

from __future__ import annotations

import math
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
        compiled: Callable[..., Any] = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:
        # Neither the package nor the user's cache folder can be written: compile anew in each process.
        compiled = numba.njit(error_model="numpy")(function)
    return compiled


# One function of scalars and loops over arrays it is given: whole-array expressions, views, tuples and calls
# are what takes numba seconds to compile, and select instead of branch is what keeps the loops fast.
@_compile
def _account(  # noqa: PLR0912, PLR0917, C901 - see above; numba knows no keyword-only arguments
    opens: NDArray[np.float64],
    closes: NDArray[np.float64],
    weights: NDArray[np.float64],
    years: NDArray[np.float64],
    rate: float,
    borrow_rate: float,
    curves: NDArray[np.float64],
    positions: NDArray[np.float64],
    held: NDArray[np.float64],
    last: NDArray[np.float64],
    value: NDArray[np.float64],
) -> None:
    num_bars, num_assets = weights.shape[0], weights.shape[1]
    keeps_positions = positions.shape[0] > 0
    cash = 1.0
    for t in range(num_bars):
        if t > 0:
            charged, before = 0.0, cash
            fee = borrow_rate * years[t]
            for a in range(num_assets):
                share = held[a]
                if share < 0:
                    charged -= share * last[a] * fee
                price = opens[t, a]
                if not math.isnan(price):
                    last[a] = price
                value[a] = share * last[a]
                before += value[a]
            before -= charged
            curves[2, t] = charged
            if before <= 0:
                break
            after, traded = before, 0.0
            for _ in range(_MOST_ROUNDS):
                traded, slope = 0.0, 0.0
                for a in range(num_assets):
                    target = weights[t - 1, a]
                    if not (math.isnan(opens[t, a]) or math.isnan(target)):
                        gap = target * after - value[a]
                        traded += abs(gap)
                        slope += target if gap > 0 else -target
                change = before - rate * traded - after
                if abs(change) <= _ENOUGH * before:
                    break
                # Newton's step: what is sought is the zero of a convex and increasing broken line.
                after += change / (1 + rate * slope)
            if after <= 0:
                break  # getting there costs more than there is
            bought = 0.0
            for a in range(num_assets):
                target = weights[t - 1, a]
                if not (math.isnan(opens[t, a]) or math.isnan(target)):
                    held[a] = target * after / opens[t, a]
                    bought += target * after - value[a]
            cash -= charged + bought + rate * traded
            curves[1, t] = traded / before
            curves[2, t] = charged + rate * traded
        account = cash
        for a in range(num_assets):
            price = closes[t, a]
            if not math.isnan(price):
                last[a] = price
            account += held[a] * last[a]
        if account <= 0:
            break
        curves[0, t] = account
        if keeps_positions:
            for a in range(num_assets):
                positions[t, a] = held[a] * last[a] / account


def simulate(  # noqa: PLR0917 - as the kernel
    opens: NDArray[np.float64],
    closes: NDArray[np.float64],
    weights: NDArray[np.float64],
    years: NDArray[np.float64],
    rate: float,
    borrow_rate: float,
    *,
    with_positions: bool = True,
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
        with_positions: Whether positions are wanted; they take half of the memory.

    Returns:
        equity (T,), 1.0 at the start; positions (T, A), fraction of equity at the close, (0, A) when not
        wanted; turnover (T,), notional traded over the account at the open; costs (T,), fees, slippage and
        borrow in units of the starting equity.
    """
    tables = [np.ascontiguousarray(table, dtype=np.float64) for table in (opens, closes, weights)]
    num_bars, num_assets = tables[0].shape
    curves = np.zeros((3, num_bars))
    positions = np.zeros((num_bars if with_positions else 0, num_assets))
    state = (np.zeros(num_assets), np.zeros(num_assets), np.zeros(num_assets))
    span = np.ascontiguousarray(years, dtype=np.float64)
    _account(*tables, span, float(rate), float(borrow_rate), curves, positions, *state)
    return curves[0], positions, curves[1], curves[2]
