"""What came of signals, once the candles reach past their horizon."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.clock import Clock
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Outcome, Side, Signal
from marketgpt_core.times import iso, to_datetime
from marketgpt_signals.bars import Bars, bars_of
from marketgpt_signals.costs import BPS, CostModel

if TYPE_CHECKING:
    # Whoever only backtests needs no database.
    from marketgpt_signals.ledger import Ledger

_YEAR = np.timedelta64(round(365.25 * 24 * 3600), "s")
SIGN = {Side.LONG: 1, Side.FLAT: 0, Side.SHORT: -1}
# The kind of the event that says of signals why nothing can be said of them.
UNRESOLVED = "unresolved"
# After a signal expired, until candles that still do not reach its exit are called ended.
_PATIENCE = timedelta(days=14)
_MOST_IDS = 1_000


@dataclass(frozen=True)
class Unresolved:
    """Signals of a symbol whose outcome cannot be known, for one reason.

    Attributes:
        symbol, interval: Of the signals.
        reason: One line: what is missing.
        signal_ids: Theirs.
    """

    symbol: str
    interval: Interval
    reason: str
    signal_ids: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        plain = {"symbol": self.symbol, "interval": str(self.interval), "reason": self.reason}
        return {**plain, "signals": list(self.signal_ids)}


@dataclass(frozen=True)
class Resolution:
    """What resolving came to.

    Attributes:
        num_written: Outcomes that were written.
        unresolved: What could not be, and why; signals whose horizon has not passed are not among them.
    """

    num_written: int
    unresolved: tuple[Unresolved, ...]


def resolve(ledger: Ledger, candles: Candles, *, clock: Clock, cost: CostModel | None = None) -> int:
    """Write the outcome of every signal whose horizon has passed in the candles; see :func:`resolve_all`.

    Returns:
        How many outcomes were written.
    """
    return resolve_all(ledger, candles, clock=clock, cost=cost).num_written


def resolve_all(
    ledger: Ledger,
    candles: Candles,
    *,
    clock: Clock,
    cost: CostModel | None = None,
    absent: Mapping[str, str] | None = None,
) -> Resolution:
    """Write the outcome of every signal whose horizon has passed in the candles, and state what is missing.

    Only candles decide. A signal stays unresolved while the bar it was made on, the bar it is entered at,
    the bar its horizon ends at or the bar it is left at is missing: no other bar takes its place. Where such
    a bar will not come any more - later candles are there, or the signal expired two weeks ago and the
    candles still end before it - that is reported, and written down once as an event ``unresolved``. Should
    the bar turn up after all, the signal is resolved like any other. Each symbol is written in a transaction.

    Args:
        ledger: Where the signals are.
        candles: Candles; signals of another interval or of symbols not among them are left alone.
        clock: Tells ``resolved_at``, and how long ago a signal expired.
        cost: What trading costs; the default costs when None.
        absent: Why there are no candles, by symbol, of symbols that were asked for.
    """
    cost = cost or CostModel()
    num_written = 0
    missing: list[Unresolved] = []
    for symbol in ledger.symbols():
        reason = (absent or {}).get(symbol)
        if symbol not in candles and reason is None:
            continue
        outcomes, why = [], defaultdict(list)
        for signal in ledger.unresolved(symbol=symbol):
            if signal.interval is not candles.interval:
                continue
            found = reason or _judge(signal, candles[symbol], cost, now=clock.now())
            if isinstance(found, Outcome):
                outcomes.append(found)
            elif found is not None:
                why[found].append(signal.id)
        num_written += ledger.write_outcomes(outcomes)
        missing += [Unresolved(symbol, candles.interval, one, tuple(ids)) for one, ids in why.items()]
    _state(ledger, missing, clock)
    return Resolution(num_written, tuple(missing))


def _judge(signal: Signal, series: CandleSeries, cost: CostModel, *, now: datetime) -> Outcome | str | None:
    found = outcome_or_reason(signal, series, cost, resolved_at=now)
    if found is None and now > signal.expires_at + _PATIENCE:
        last = f"end at {iso(series.time[-1])}" if len(series) else "are none"
        return f"its candles {last}, before it is left: delisted, halted, or a source that is behind"
    return found


def _state(ledger: Ledger, missing: Iterable[Unresolved], clock: Clock) -> None:
    """Write an event of what was not stated before."""
    stated = set(_stated(ledger))
    for one in missing:
        fresh = [identity for identity in one.signal_ids if (identity, one.reason) not in stated]
        for start in range(0, len(fresh), _MOST_IDS):
            part = replace(one, signal_ids=tuple(fresh[start : start + _MOST_IDS]))
            ledger.record_event(UNRESOLVED, part.to_json(), clock.now())


def _stated(ledger: Ledger) -> Iterator[tuple[str, str]]:
    for event in ledger.events(kind=UNRESOLVED):
        for identity in event.payload["signals"]:
            yield identity, event.payload["reason"]


def outcome_for(
    signal: Signal, series: CandleSeries, cost: CostModel, *, resolved_at: datetime
) -> Outcome | None:
    """Return what came of one signal, or None where it cannot be known; see :func:`outcome_or_reason`."""
    found = outcome_or_reason(signal, series, cost, resolved_at=resolved_at)
    return found if isinstance(found, Outcome) else None


def outcome_or_reason(
    signal: Signal, series: CandleSeries, cost: CostModel, *, resolved_at: datetime
) -> Outcome | str | None:
    """Return what came of one signal; one line when a bar it needs is missing, None while it cannot be known.

    With t the bar of ``as_of`` and h the horizon: entered at the open of t + 1, left at the open of
    t + 1 + h, exactly as :mod:`marketgpt_signals.backtest` trades it; see
    :func:`marketgpt_signals.bars.bars_of`. The forecast itself is judged from close to close,
    ln(C[t + h] / C[t]). Prices enter as ratios only, so candles that were adjusted for a split since the
    signal was made do no harm.

    The net return is a fraction of the entry's notional: sign x (exit / entry - 1), less fee and slippage
    on both notionals, less the borrow fee on a short's entry notional over the wall time it was held.
    """
    bars = bars_of(signal, series)
    return _outcome(signal, series, bars, cost, resolved_at=resolved_at) if isinstance(bars, Bars) else bars


def _outcome(
    signal: Signal, series: CandleSeries, bars: Bars, cost: CostModel, *, resolved_at: datetime
) -> Outcome:
    entry_price, exit_price = float(series.open[bars.entry]), float(series.open[bars.leave])
    growth = exit_price / entry_price
    sign = SIGN[signal.side]
    charged = 0.0
    if sign:
        charged = cost.rate * (1 + growth)
    if sign < 0:
        charged += cost.borrow_rate * float((series.time[bars.leave] - series.time[bars.entry]) / _YEAR)
    move = float(series.close[bars.end] / series.close[bars.made])
    forecast_return = math.log(move)
    return Outcome(
        signal_id=signal.id,
        entry_at=to_datetime(series.time[bars.entry]),
        exit_at=to_datetime(series.time[bars.leave]),
        entry_price=entry_price,
        exit_price=exit_price,
        forecast_return=forecast_return,
        net_return=sign * (growth - 1) - charged if sign else 0.0,
        cost_bps=charged / BPS,
        hit=sign * forecast_return > 0 if sign else None,
        inside_90=signal.bands.q05 <= signal.close * move <= signal.bands.q95,
        resolved_at=resolved_at,
    )
