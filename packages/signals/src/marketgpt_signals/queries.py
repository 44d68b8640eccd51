"""The ledger's questions as SQL; every value is a bound parameter."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, and_, case, func, or_, select

from marketgpt_core.signal import Side
from marketgpt_signals.schema import outcomes, signals

Position = tuple[datetime, int]


@dataclass(frozen=True)
class SignalFilter:
    """Which signals are wanted; see :meth:`marketgpt_core.signal.SignalReader.signals`."""

    symbol: str | None = None
    horizon_bars: int | None = None
    side: Side | None = None
    min_probability: float | None = None
    since: datetime | None = None
    latest: bool = False


def where(query: Select[Any], wanted: SignalFilter) -> Select[Any]:
    """Keep the signals a filter asks for."""
    columns = signals.c
    if wanted.symbol is not None:
        query = query.where(columns.symbol == wanted.symbol)
    if wanted.horizon_bars is not None:
        query = query.where(columns.horizon_bars == wanted.horizon_bars)
    if wanted.side is not None:
        query = query.where(columns.side == str(wanted.side))
    if wanted.since is not None:
        query = query.where(columns.as_of >= wanted.since)
    if wanted.min_probability is not None:
        short = columns.side == str(Side.SHORT)
        of_side = case((short, 1.0 - columns.probability), else_=columns.probability)
        query = query.where(of_side >= wanted.min_probability)
    return _latest(query) if wanted.latest else query


def _latest(query: Select[Any]) -> Select[Any]:
    """Keep the newest as-of of each symbol and horizon, whatever the other filters are.

    Newest *overall*: asked for the latest LONGs, a symbol that has since turned FLAT has none.
    """
    group = (signals.c.symbol, signals.c.interval, signals.c.horizon_bars)
    newest = select(*group, func.max(signals.c.as_of).label("as_of")).group_by(*group).subquery()
    same = and_(*(signals.c[column.name] == newest.c[column.name] for column in group))
    return query.join(newest, and_(same, signals.c.as_of == newest.c.as_of))


def newest_first(query: Select[Any], after: Position | None = None) -> Select[Any]:
    """Order by as-of, then order of writing, newest first; go on after a position."""
    if after is not None:
        as_of, seq = after
        older = or_(signals.c.as_of < as_of, and_(signals.c.as_of == as_of, signals.c.seq < seq))
        query = query.where(older)
    return query.order_by(signals.c.as_of.desc(), signals.c.seq.desc())


def resolved() -> Select[Any]:
    """Signals joined with their outcomes."""
    return select(signals, outcomes).join(outcomes, outcomes.c.signal_id == signals.c.id)


def unresolved() -> Select[Any]:
    """Signals that have no outcome yet, oldest as-of first."""
    joined = signals.outerjoin(outcomes, outcomes.c.signal_id == signals.c.id)
    query = select(signals).select_from(joined).where(outcomes.c.signal_id.is_(None))
    return query.order_by(signals.c.as_of, signals.c.seq)
