"""What is written down beside the signals: events, backtests, the runs of models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Select, Table, insert, select

from marketgpt_core.errors import DataError
from marketgpt_signals.database import Database
from marketgpt_signals.errors import LedgerError
from marketgpt_signals.schema import backtests, events, runs


@dataclass(frozen=True)
class Event:
    """Something that happened around the signals: a retraining, an incident, a promotion.

    Attributes:
        seq: Order of writing, increasing.
        at: When; aware, UTC.
        kind: What, one word.
        payload: JSON object.
    """

    seq: int
    at: datetime
    kind: str
    payload: Mapping[str, Any]


@dataclass(frozen=True)
class BacktestRecord:
    """A backtest that was run.

    Attributes:
        config: JSON object: all that decides it beside the signals and candles.
        metrics: JSON object: what came out.
        data_fingerprint: Identity of the candles.
        first_as_of, last_as_of: Of the signals traded; aware, UTC.
        code_revision: Of the code that ran it.
        created_at: When; aware, UTC.
    """

    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    data_fingerprint: str
    first_as_of: datetime
    last_as_of: datetime
    code_revision: str
    created_at: datetime

    @property
    def id(self) -> str:
        """Identity of what was tested and what came out, whenever; 32 hex digits."""
        said = [self.config, self.metrics, self.data_fingerprint, self.code_revision]
        said += [self.first_as_of.isoformat(), self.last_as_of.isoformat()]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class RunRecord:
    """A run of a model whose forecasts came in here.

    Attributes:
        run_id: The run's id.
        path: Its folder when it was written down.
        metrics: JSON object: what its evaluation found.
        created_at: When it was written down; aware, UTC.
    """

    run_id: str
    path: str
    metrics: Mapping[str, Any]
    created_at: datetime


class Records:
    """Events, backtests and runs in a ledger's database: written once, never changed.

    Args:
        database: An opened database.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record_event(self, kind: str, payload: Mapping[str, Any], at: datetime) -> Event:
        """Write down that something happened.

        Args:
            kind: What, one word.
            payload: JSON object, without NaN.
            at: When; aware.

        Raises:
            LedgerError: when the payload is not JSON or ``at`` is naive.
        """
        refuse_naive("at", at)
        content = _json(f"the payload of event {kind!r}", payload)
        with self._database.write() as connection:
            written = connection.execute(insert(events).values(at=at, kind=kind, payload=content))
            key = written.inserted_primary_key
        return Event(seq=int(key[0]) if key else 0, at=at, kind=kind, payload=content)

    def events(
        self, *, kind: str | None = None, since: datetime | None = None, limit: int | None = None
    ) -> list[Event]:
        """Return events, oldest first."""
        refuse_naive("since", since)
        query = select(events).order_by(events.c.at, events.c.seq).limit(check_limit(limit))
        if kind is not None:
            query = query.where(events.c.kind == kind)
        if since is not None:
            query = query.where(events.c.at >= since)
        return [Event(**row) for row in self._all(query)]

    def record_backtest(self, record: BacktestRecord) -> bool:
        """Write down a backtest; the same one again is ignored.

        Returns:
            Whether it was new.

        Raises:
            LedgerError: when a value is not JSON, or a time naive.
        """
        for name in ("first_as_of", "last_as_of", "created_at"):
            refuse_naive(name, getattr(record, name))
        row = asdict(record)
        for name in ("config", "metrics"):
            row[name] = _json(f"the {name} of a backtest", row[name])
        return self._once(backtests, backtests.c.id, {**row, "id": record.id}) is None

    def backtests(self, *, limit: int | None = None) -> list[BacktestRecord]:
        """Return backtests, newest first."""
        query = select(backtests).order_by(backtests.c.created_at.desc(), backtests.c.seq.desc())
        found = self._all(query.limit(check_limit(limit)))
        return [BacktestRecord(**_without(row, "seq", "id")) for row in found]

    def record_run(self, record: RunRecord) -> bool:
        """Write down a run; it is known once, wherever its folder is moved to later.

        Returns:
            Whether it was new.

        Raises:
            LedgerError: when its metrics are not JSON or differ from those already here, or a time is naive.
        """
        refuse_naive("created_at", record.created_at)
        row = asdict(record) | {"metrics": _json(f"the metrics of run {record.run_id}", record.metrics)}
        there = self._once(runs, runs.c.run_id, row)
        if there is not None and there["metrics"] != row["metrics"]:
            raise LedgerError(f"run {record.run_id} is already in the ledger with other metrics")
        return there is None

    def runs(self) -> list[RunRecord]:
        """Return runs, in the order they were written down."""
        return [RunRecord(**_without(row, "seq")) for row in self._all(select(runs).order_by(runs.c.seq))]

    def _once(self, table: Table, key: Column[Any], row: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """Write a row unless its key is there; return what is there already."""
        with self._database.write() as connection:
            same = select(table).where(key == row[key.name])
            there = connection.execute(same).mappings().first()
            if there is None:
                connection.execute(insert(table).values(row))
                return None
            return plain(there)

    def _all(self, query: Select[Any]) -> list[Mapping[str, Any]]:
        with self._database.read() as connection:
            return [plain(row) for row in connection.execute(query).mappings()]


def plain(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row of a result as a dict."""
    return {str(key): value for key, value in row.items()}


def check_limit(limit: int | None) -> int | None:
    """Return a limit that makes sense.

    Raises:
        DataError: when it is negative.
    """
    if limit is not None and limit < 0:
        raise DataError(f"limit must be at least 0, got {limit}")
    return limit


def refuse_naive(name: str, moment: datetime | None) -> None:
    """Refuse a moment without a time zone.

    Raises:
        LedgerError: when it has none.
    """
    if moment is not None and moment.tzinfo is None:
        raise LedgerError(f"{name} must be aware (UTC), got {moment!r}")


def _json(what: str, value: Mapping[str, Any]) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise LedgerError(f"{what} is not JSON: {error}") from error
    return content


def _without(row: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}
