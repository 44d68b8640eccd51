"""The append-only ledger: every signal that was said, and what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Column, Connection, Select, Table, func, select

from marketgpt_core.interval import Interval
from marketgpt_core.signal import Outcome, Side, Signal
from marketgpt_core.times import iso
from marketgpt_signals import queries
from marketgpt_signals.bulk import insert_rows
from marketgpt_signals.database import Database
from marketgpt_signals.errors import LedgerError
from marketgpt_signals.following import Following
from marketgpt_signals.markets import market_of
from marketgpt_signals.queries import Position, SignalFilter
from marketgpt_signals.records import check_limit, plain, refuse_naive
from marketgpt_signals.rows import outcome_of, outcome_row, signal_of, signal_row
from marketgpt_signals.schema import SCHEMA_VERSION, events, outcomes, signals

# SQLite takes 32,766 bound values a statement, older builds 999.
_CHUNK = 500
# So many can be looked up and sorted for a page.
_FEW_OUTCOMES = 2_000


@dataclass(frozen=True)
class Summary:
    """What a ledger holds.

    Attributes:
        num_signals, num_outcomes, num_events: Rows.
        newest: The signal with the newest as-of; None when there is none.
        schema_version: Revision of the tables.
    """

    num_signals: int
    num_outcomes: int
    num_events: int
    newest: Signal | None
    schema_version: int = SCHEMA_VERSION


class Ledger(Following):
    """Signals and their outcomes in a database that itself refuses to change or delete them.

    Many processes may write and read at once: a write takes SQLite's lock at its start and waits for it
    up to 30 seconds. It is a :class:`marketgpt_core.signal.SignalReader`. Use it as a context manager or
    call :meth:`close`.

    PostgreSQL does the same when it is given a URL: writers queue for one lock of the database.

    Args:
        database: An opened database; use :meth:`open`.
    """

    @classmethod
    def open(
        cls, location: str | Path, *, must_exist: bool = False, keep_connections: bool = False
    ) -> Ledger:
        """Open a ledger, or make an empty one.

        Args:
            location: Path of a SQLite file, or an SQLAlchemy URL.
            must_exist: Refuse to make one: for readers, who would otherwise look at nothing.
            keep_connections: Keep those to a SQLite file open, for servers: to open it takes longer than to
                read a page of it. The file must stay where it is meanwhile. Those to PostgreSQL always are.

        Raises:
            LedgerError: when it cannot be opened or written, is no ledger, or is at another revision.
        """
        return cls(Database.open(location, must_exist=must_exist, keep_connections=keep_connections))

    @property
    def name(self) -> str:
        """Path or URL, without a password."""
        return self._database.name

    @property
    def database(self) -> Database:
        """The database, for what lies in it beside the signals."""
        return self._database

    def check(self) -> int:
        """Read a signal and return the revision of the tables.

        Raises:
            LedgerError: when it cannot be read, or is at another revision by now.
        """
        self._database.prepare(must_exist=True)
        self.newest_seq()
        return SCHEMA_VERSION

    def close(self) -> None:
        """Close it."""
        self._database.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # Writing

    def append(self, new: Iterable[Signal]) -> int:
        """Write signals, all of them or none; those already there are left as they are.

        Two signals are the same if their ids are, and must then say the same; only ``created_at`` and
        ``code_revision`` may differ, and the first one stays.

        Returns:
            How many were new.

        Raises:
            LedgerError: when a signal contradicts one that is there.
        """
        rows = [signal_row(signal) for signal in new]
        return self._add(signals, signals.c.id, rows, may_differ=("created_at", "code_revision"))

    def write_outcomes(self, new: Iterable[Outcome]) -> int:
        """Write what came of signals, all or nothing; the same outcome again is ignored.

        Returns:
            How many were new.

        Raises:
            LedgerError: for a signal that is not here, or another outcome than the one already written.
        """
        rows = [outcome_row(outcome) for outcome in new]
        return self._add(outcomes, outcomes.c.signal_id, rows, may_differ=("resolved_at",))

    def _add(
        self, table: Table, key: Column[Any], rows: list[dict[str, Any]], *, may_differ: Sequence[str]
    ) -> int:
        if not rows:
            return 0
        with self._database.write() as connection:
            ids = [row[key.name] for row in rows]
            if table is outcomes:
                _refuse_unknown(connection, ids)
            known = {row[key.name]: row for row in _rows_by(connection, select(table), key, ids)}
            fresh: dict[str, dict[str, Any]] = {}
            for row in rows:
                identity = row[key.name]
                there = known.get(identity) or fresh.get(identity)
                if there is None:
                    fresh[identity] = row
                else:
                    _refuse_contradiction(table.name, identity, there, row, may_differ)
            if fresh:
                insert_rows(connection, table, list(fresh.values()))
            return len(fresh)

    # Reading

    def signals(
        self,
        *,
        symbol: str | None = None,
        horizon_bars: int | None = None,
        side: Side | None = None,
        min_probability: float | None = None,
        since: datetime | None = None,
        latest: bool = False,
        limit: int | None = None,
    ) -> list[Signal]:
        """Return signals, newest as-of first; see :meth:`marketgpt_core.signal.SignalReader.signals`.

        With ``latest`` the newest as-of is sought among all signals of a (symbol, interval, horizon), and
        the other filters come after: a LONG that has since turned FLAT is no latest LONG.
        """
        wanted = SignalFilter(symbol, horizon_bars, side, min_probability, since, latest)
        return [signal for _, signal in self.signal_page(wanted, limit=limit)]

    def signal_page(
        self, wanted: SignalFilter, *, after: Position | None = None, limit: int | None = None
    ) -> list[tuple[Position, Signal]]:
        """Return signals with their positions, newest first, going on after a position."""
        rows: list[Mapping[str, Any]] = []
        of_market = self._of_market(wanted)
        if of_market == []:
            return []
        if wanted.latest and limit:
            # What bears the newest as-of of all is the latest of its series: often that fills the page.
            query = queries.of_the_newest(select(signals), wanted, of_market)
            rows = self._page(query, wanted, after, limit)
        if not rows or len(rows) != limit:
            rows = self._page(queries.where(select(signals), wanted, of_market), wanted, after, limit)
        return [((row["as_of"], row["seq"]), signal_of(row)) for row in rows]

    def outcome_page(
        self, wanted: SignalFilter, *, after: Position | None = None, limit: int | None = None
    ) -> list[tuple[Position, Signal, Outcome]]:
        """Return resolved signals with their positions, newest as-of first, going on after a position."""
        one_more = select(outcomes.c.signal_id).limit(1).offset(_FEW_OUTCOMES)
        few, of_market = not self._all(one_more), self._of_market(wanted)
        if of_market == []:
            return []
        query = queries.resolved_of_few() if few else queries.resolved_of_many()
        query = queries.where(query, wanted, of_market, by_id=few)
        rows = self._page(query, wanted, after, limit, by_id=few)
        return [((row["as_of"], row["seq"]), signal_of(row), outcome_of(row)) for row in rows]

    def _of_market(self, wanted: SignalFilter) -> list[str] | None:
        """Return the symbols of the market asked for; None when none was."""
        if wanted.market is None:
            return None
        return [symbol for symbol in self.symbols() if market_of(symbol) is wanted.market]

    def pages(self, size: int = 10_000) -> Iterator[list[tuple[Signal, Outcome | None]]]:
        """Yield all signals with what came of them, newest as-of first, ``size`` at a time.

        Each page is read for itself, so that nobody waits for a long export; what is written meanwhile may or
        may not be among them.
        """
        after: Position | None = None
        while rows := self._page(queries.with_outcomes(), SignalFilter(), after, size):
            after = rows[-1]["as_of"], rows[-1]["seq"]
            yield [(signal_of(row), None if row["signal_id"] is None else outcome_of(row)) for row in rows]

    def _page(
        self,
        query: Select[Any],
        wanted: SignalFilter,
        after: Position | None,
        limit: int | None,
        *,
        by_id: bool = False,
    ) -> list[Mapping[str, Any]]:
        refuse_naive("since", wanted.since)
        return self._all(queries.newest_first(query, after, by_id=by_id).limit(check_limit(limit)))

    def resolved(
        self, *, symbol: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[tuple[Signal, Outcome]]:
        """Return signals whose outcome is known, oldest as-of first."""
        refuse_naive("since", since)
        query = queries.where(queries.resolved(), SignalFilter(symbol=symbol, since=since))
        query = query.order_by(signals.c.as_of, signals.c.seq).limit(check_limit(limit))
        return [(signal_of(row), outcome_of(row)) for row in self._all(query)]

    def unresolved(self, *, symbol: str | None = None) -> list[Signal]:
        """Return signals without an outcome, oldest as-of first."""
        query = queries.where(queries.unresolved(), SignalFilter(symbol=symbol))
        return [signal_of(row) for row in self._all(query)]

    def pending(self) -> list[tuple[str, Interval]]:
        """Return the symbols and intervals that have signals without an outcome, sorted."""
        query = queries.unresolved().with_only_columns(signals.c.symbol, signals.c.interval)
        distinct = query.distinct().order_by(None).order_by(signals.c.symbol, signals.c.interval)
        return [(row["symbol"], Interval(row["interval"])) for row in self._all(distinct)]

    def horizons(self) -> list[int]:
        """Return the horizons there are signals for, in bars, increasing."""
        return [row["value"] for row in self._all(queries.distinct(signals.c.horizon_bars))]

    def get(self, signal_id: str) -> tuple[Signal, Outcome | None] | None:
        """Return a signal and what came of it, by its id; None when there is none."""
        with self._database.read() as connection:
            said = connection.execute(select(signals).where(signals.c.id == signal_id)).mappings().first()
            came = connection.execute(select(outcomes).where(outcomes.c.signal_id == signal_id)).mappings()
            outcome = came.first()
        if said is None:
            return None
        return signal_of(plain(said)), None if outcome is None else outcome_of(plain(outcome))

    def symbols(self) -> list[str]:
        """Return the symbols that have signals, sorted."""
        return [row["value"] for row in self._all(queries.distinct(signals.c.symbol))]

    def summary(self) -> Summary:
        """Count what is here."""
        with self._database.read() as connection:
            counts = [
                int(connection.execute(select(func.count()).select_from(table)).scalar_one())
                for table in (signals, outcomes, events)
            ]
            newest = connection.execute(queries.newest_first(select(signals)).limit(1)).mappings().first()
        return Summary(
            num_signals=counts[0],
            num_outcomes=counts[1],
            num_events=counts[2],
            newest=None if newest is None else signal_of(plain(newest)),
        )


def _rows_by(
    connection: Connection, query: Select[Any], key: Column[Any], ids: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for start in range(0, len(ids), _CHUNK):
        chunk = query.where(key.in_(ids[start : start + _CHUNK]))
        for row in connection.execute(chunk).mappings():
            yield plain(row)


def _refuse_unknown(connection: Connection, ids: Sequence[str]) -> None:
    known = {row["id"] for row in _rows_by(connection, select(signals.c.id), signals.c.id, ids)}
    missing = [identity for identity in ids if identity not in known]
    if missing:
        raise LedgerError(f"an outcome names signal {missing[0]!r}, which is not in the ledger")


def _refuse_contradiction(
    table: str, identity: str, there: Mapping[str, Any], row: Mapping[str, Any], may_differ: Sequence[str]
) -> None:
    for name, value in row.items():
        if name in may_differ or there[name] == value:
            continue
        what = (
            f" ({row['symbol']} {iso(row['as_of'])}, {row['horizon_bars']} bars)" if "symbol" in row else ""
        )
        raise LedgerError(
            f"{table.removesuffix('s')} {identity}{what} is already in the ledger with another {name}: "
            f"{there[name]!r} there, {value!r} now; a ledger only grows, so try other options in another one"
        )
