"""The ledger's questions as SQL; every value is a bound parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import Column, ColumnElement, Select, and_, func, literal_column, or_, select, text
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.visitors import InternalTraversal

from marketgpt_core.signal import Side, Signal
from marketgpt_core.symbols import Category
from marketgpt_signals.markets import market_of
from marketgpt_signals.schema import OF_SIDE, SURE_PERCENTS, outcomes, signals, sure_at_least

Position = tuple[datetime, int]

_FEW_SYMBOLS = 8


@dataclass(frozen=True)
class SignalFilter:
    """Which signals are wanted; see :meth:`marketgpt_core.signal.SignalReader.signals`."""

    symbol: str | None = None
    horizon_bars: int | None = None
    side: Side | None = None
    min_probability: float | None = None
    since: datetime | None = None
    latest: bool = False
    market: Category | None = None

    def admits(self, signal: Signal) -> bool:
        """Tell whether a signal is wanted, but for ``latest``, which one signal alone cannot tell."""
        sure = 1.0 - signal.probability if signal.side is Side.SHORT else signal.probability
        return (
            self.symbol in {None, signal.symbol}
            and (self.market is None or market_of(signal.symbol) is self.market)
            and self.horizon_bars in {None, signal.horizon_bars}
            and self.side in {None, signal.side}
            and (self.min_probability is None or sure >= self.min_probability)
            and (self.since is None or signal.as_of >= self.since)
        )


class _Hidden(ColumnElement[Any]):
    """A column that SQLite uses no index for; PostgreSQL knows better what each condition leaves."""

    inherit_cache = True
    _traverse_internals = [("column", InternalTraversal.dp_clauseelement)]  # noqa: RUF012 - SQLAlchemy's way

    def __init__(self, column: Column[Any]) -> None:
        self.column = column
        self.type = column.type


@compiles(_Hidden)
def _as_it_is(element: _Hidden, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return str(compiler.process(element.column, **options))


@compiles(_Hidden, "sqlite")
def _behind_a_plus(element: _Hidden, compiler: SQLCompiler, **options: Any) -> str:  # noqa: ANN401 - SQLAlchemy's own
    return "+" + str(compiler.process(element.column, **options))


def where(
    query: Select[Any],
    wanted: SignalFilter,
    of_market: Sequence[str] | None = None,
    *,
    by_id: bool = False,
) -> Select[Any]:
    """Keep the signals a filter asks for; of a market those whose symbols are given.

    With ``by_id`` signals are looked up by their ids, and no condition is left to another index. Else of
    several conditions the one that leaves least is left to an index, and the others are hidden from them:
    SQLite, which counts no rows, would as soon walk through half of all signals.
    """
    columns, least = signals.c, wanted.min_probability
    level = max((percent for percent in SURE_PERCENTS if percent / 100 <= (least or 0.0)), default=None)
    # Of many symbols the newest are sooner found in the order of time.
    by_market = of_market is not None and len(of_market) <= _FEW_SYMBOLS
    by_symbol = by_id or by_market or wanted.symbol is not None
    by_sure = level is not None and not by_symbol and not wanted.latest
    by_horizon = wanted.horizon_bars is not None and not (by_symbol or by_sure or wanted.latest)
    by_side = not (by_symbol or by_sure or by_horizon or wanted.latest)
    if wanted.symbol is not None:
        query = query.where((_Hidden(columns.symbol) if by_id else columns.symbol) == wanted.symbol)
    if of_market is not None:
        symbol = columns.symbol if by_market and not by_id else _Hidden(columns.symbol)
        query = query.where(symbol.in_(of_market))
    if wanted.horizon_bars is not None:
        horizon = columns.horizon_bars if by_horizon else _Hidden(columns.horizon_bars)
        query = query.where(horizon == wanted.horizon_bars)
    if wanted.side is not None:
        side = columns.side if by_side else _Hidden(columns.side)
        query = query.where(side == str(wanted.side))
    if wanted.since is not None:
        query = query.where((_Hidden(columns.as_of) if by_id else columns.as_of) >= wanted.since)
    if least is not None:
        query = query.where(literal_column(OF_SIDE) >= least)
    if by_sure and level is not None:  # in the words of the index, which else would not be seen to fit
        query = query.where(text(sure_at_least(level)))
    return query.where(columns.seq.in_(_latest(wanted.symbol))) if wanted.latest else query


def of_the_newest(
    query: Select[Any], wanted: SignalFilter, of_market: Sequence[str] | None = None
) -> Select[Any]:
    """Keep what a filter for the latest asks for, of the newest as-of only: there may be more, older ones."""
    newest = select(func.max(signals.alias("any").c.as_of)).scalar_subquery()
    return where(query, replace(wanted, latest=False), of_market).where(signals.c.as_of == newest)


@lru_cache(maxsize=256)  # stating it takes longer than the database takes to answer it
def _latest(symbol: str | None) -> Select[Any]:
    """Return the numbers of each series' newest signals, whatever else is asked of them.

    Newest *overall*: asked for the latest LONGs, a symbol that has since turned FLAT has none.

    GROUP BY would read the whole index; this steps from series to series, one search each. The index goes
    upwards by as-of too, so coming from above the first row of a series is its newest.
    """
    series = signals.c.symbol, signals.c.interval, signals.c.horizon_bars
    kept = (*series, signals.c.as_of)
    last = select(signals.c.seq).order_by(*(column.desc() for column in (*kept, signals.c.seq))).limit(1)
    if symbol is not None:
        last = last.where(signals.c.symbol == symbol)
    one, same = signals.alias("one"), signals.alias("same")
    first = select(*(one.c[column.name] for column in kept)).where(one.c.seq == last.scalar_subquery())
    found = first.cte("newest", recursive=True)
    # The series before this one: another horizon, else another interval, else another symbol.
    before = [
        last.where(*(column == found.c[column.name] for column in series[:same_columns]))
        .where(series[same_columns] < found.c[series[same_columns].name])
        .correlate(found)
        .scalar_subquery()
        for same_columns in (2, 1, 0)
    ]
    step = select(*(one.c[column.name] for column in kept)).select_from(found)
    newest = found.union_all(step.join(one, one.c.seq == func.coalesce(*before)))
    equal = [same.c[column.name] == newest.c[column.name] for column in kept]
    return select(same.c.seq).select_from(newest).join(same, and_(*equal))


def distinct(column: Column[Any]) -> Select[Any]:
    """Return the values of a column that an index begins with, increasing, one search each."""
    least = select(column).order_by(column).limit(1)
    found = select(least.scalar_subquery().label("value")).cte("found", recursive=True)
    above = least.where(column > found.c.value).correlate(found).scalar_subquery()
    all_ = found.union_all(select(above).where(found.c.value.is_not(None)))
    return select(all_.c.value).where(all_.c.value.is_not(None)).order_by(all_.c.value)


def newest_first(query: Select[Any], after: Position | None = None, *, by_id: bool = False) -> Select[Any]:
    """Order by as-of, then order of writing, newest first; go on after a position.

    With ``by_id`` what was looked up is sorted, however tempting the index of times.
    """
    if by_id:
        moment, number = _Hidden(signals.c.as_of), _Hidden(signals.c.seq)
        if after is not None:
            query = query.where(or_(moment < after[0], and_(moment == after[0], number < after[1])))
        return query.order_by(moment.desc(), number.desc())
    if after is not None:
        as_of, seq = after
        # The first condition follows from the second; by it the index is entered at the right place.
        older = or_(signals.c.as_of < as_of, signals.c.seq < seq)
        query = query.where(signals.c.as_of <= as_of, older)
    return query.order_by(signals.c.as_of.desc(), signals.c.seq.desc())


def resolved() -> Select[Any]:
    """Signals joined with their outcomes."""
    return select(signals, outcomes).join(outcomes, outcomes.c.signal_id == signals.c.id)


def resolved_of_few() -> Select[Any]:
    """Signals joined with their outcomes, each outcome looked up among the signals: for few outcomes."""
    same = _Hidden(outcomes.c.signal_id) == signals.c.id
    return select(signals, outcomes).select_from(outcomes).join(signals, same)


def resolved_of_many() -> Select[Any]:
    """Signals joined with their outcomes, for going through signals by time.

    A signal is entered after its as-of: none from the last entry on has an outcome, and they are passed over
    at once.
    """
    last = select(func.max(outcomes.c.entry_at)).scalar_subquery()
    return resolved().where(signals.c.as_of < last)


def with_outcomes() -> Select[Any]:
    """Signals, and their outcomes where there are any."""
    joined = signals.outerjoin(outcomes, outcomes.c.signal_id == signals.c.id)
    return select(signals, outcomes).select_from(joined)


def unresolved() -> Select[Any]:
    """Signals that have no outcome yet, oldest as-of first."""
    joined = signals.outerjoin(outcomes, outcomes.c.signal_id == signals.c.id)
    query = select(signals).select_from(joined).where(outcomes.c.signal_id.is_(None))
    return query.order_by(signals.c.as_of, signals.c.seq)


def written(after: int, wanted: SignalFilter, *, last: int | None, limit: int | None) -> Select[Any]:
    """Signals with numbers from after ``after`` to ``last``, in the order of writing.

    What a filter's equalities leave; :meth:`SignalFilter.admits` has the last word.
    """
    number, columns = signals.c.seq, signals.c
    query = select(signals).where(number > after).order_by(number).limit(limit)
    if last is not None:
        query = query.where(number <= last)
    for column, value in (
        (columns.symbol, wanted.symbol),
        (columns.horizon_bars, wanted.horizon_bars),
        (columns.side, wanted.side),
    ):
        if value is not None:  # hidden: the numbers are the way in
            query = query.where(_Hidden(column) == value)
    return query
