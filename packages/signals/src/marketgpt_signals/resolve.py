"""What came of signals, once the candles reach past their horizon."""

from __future__ import annotations

import math
from datetime import datetime

import numpy as np

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.clock import Clock
from marketgpt_core.signal import Outcome, Side, Signal
from marketgpt_core.times import to_datetime, to_datetime64
from marketgpt_signals.costs import BPS, CostModel
from marketgpt_signals.ledger import Ledger

_YEAR = np.timedelta64(round(365.25 * 24 * 3600), "s")
SIGN = {Side.LONG: 1, Side.FLAT: 0, Side.SHORT: -1}


def resolve(ledger: Ledger, candles: Candles, *, clock: Clock, cost: CostModel | None = None) -> int:
    """Write the outcome of every signal whose horizon has passed in the candles.

    Only candles decide: the clock merely says when it was written down. A signal stays unresolved while
    the bar it was made on, the bar it is entered at or the bar it is left at is missing. Each symbol is
    written in a transaction of its own.

    Args:
        ledger: Where the signals are.
        candles: Candles; signals of another interval or of symbols not among them are left alone.
        clock: Tells ``resolved_at``.
        cost: What trading costs; the default costs when None.

    Returns:
        How many outcomes were written.
    """
    cost = cost or CostModel()
    num_written = 0
    for symbol in ledger.symbols():
        if symbol not in candles:
            continue
        now = clock.now()
        found = (
            outcome_for(signal, candles[symbol], cost, resolved_at=now)
            for signal in ledger.unresolved(symbol=symbol)
        )
        num_written += ledger.write_outcomes([outcome for outcome in found if outcome is not None])
    return num_written


def outcome_for(
    signal: Signal, series: CandleSeries, cost: CostModel, *, resolved_at: datetime
) -> Outcome | None:
    """Return what came of one signal, or None while it cannot be known.

    With t the row of ``as_of`` and h the horizon: entered at the open of t + 1, left at the open of
    t + 1 + h, exactly as :mod:`marketgpt_signals.backtest` trades it. The forecast itself is judged from
    close to close, ln(C[t + h] / C[t]). Prices enter as ratios only, so candles that were adjusted for a
    split since the signal was made do no harm.

    The net return is a fraction of the entry's notional: sign x (exit / entry - 1), less fee and slippage
    on both notionals, less the borrow fee on a short's entry notional over the wall time it was held.
    """
    if signal.interval is not series.interval:
        return None
    as_of = to_datetime64(signal.as_of)
    row = int(np.searchsorted(series.time, as_of))
    entry, leave = row + 1, row + 1 + signal.horizon_bars
    if leave >= len(series) or series.time[row] != as_of:
        return None
    entry_price, exit_price = float(series.open[entry]), float(series.open[leave])
    growth = exit_price / entry_price
    sign = SIGN[signal.side]
    charged = 0.0
    if sign:
        charged = cost.rate * (1 + growth)
    if sign < 0:
        charged += cost.borrow_rate * float((series.time[leave] - series.time[entry]) / _YEAR)
    move = float(series.close[leave - 1] / series.close[row])
    forecast_return = math.log(move)
    return Outcome(
        signal_id=signal.id,
        entry_at=to_datetime(series.time[entry]),
        exit_at=to_datetime(series.time[leave]),
        entry_price=entry_price,
        exit_price=exit_price,
        forecast_return=forecast_return,
        net_return=sign * (growth - 1) - charged if sign else 0.0,
        cost_bps=charged / BPS,
        hit=sign * forecast_return > 0 if sign else None,
        inside_90=signal.bands.q05 <= signal.close * move <= signal.bands.q95,
        resolved_at=resolved_at,
    )
