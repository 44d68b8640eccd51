"""Jobs in the ledger's database: what was asked for, where it stands, what came out."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from sqlalchemy import Connection, Select, func, insert, select, update

from marketgpt_signals.api.models import JobStatus
from marketgpt_signals.api.problems import StatedError
from marketgpt_signals.database import Database
from marketgpt_signals.records import plain
from marketgpt_signals.schema import jobs

MOST_QUEUED = 16
# An owner says this often that it lives; who was silent for several times as long does not.
SEEN_EVERY_S = 5.0
_SILENT = timedelta(seconds=30)
_OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)
_BRIEF = [column for column in jobs.c if column.name not in {"result", "series"}]


class QueueFullError(StatedError):
    """As many jobs wait as may."""

    status = 429
    headers: ClassVar[Mapping[str, str]] = {"Retry-After": "10"}


class OtherRequestError(StatedError):
    """An idempotency key was used before, for something else."""

    status = 422


class NotOpenError(StatedError):
    """A job is over and cannot be cancelled."""

    status = 409


@dataclass(frozen=True)
class Job:
    """A row of the table.

    Attributes:
        seq: Order of asking.
        id: 32 hex digits.
        status: Where it stands.
        request: JSON of the :class:`marketgpt_signals.api.models.BacktestRequest`.
        created_at, started_at, finished_at: Aware, UTC.
        reason: Why it failed or was interrupted.
        result, series: JSON of what came out; None unless read and done.
    """

    seq: int
    id: str
    status: JobStatus
    request: Mapping[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    reason: str | None
    result: Mapping[str, Any] | None = None
    series: Mapping[str, Any] | None = None


class JobStore:
    """The jobs of a ledger.

    Args:
        database: Of the ledger.
        owner: Who runs them here: another server on the same ledger leaves them alone.
    """

    def __init__(self, database: Database, owner: str) -> None:
        self._database = database
        self._owner = owner

    def submit(self, request: Mapping[str, Any], key: str | None, now: datetime) -> tuple[Job, bool]:
        """Queue a job, or find the one that was queued under the same key.

        Returns:
            (job, whether it is new).

        Raises:
            OtherRequestError: when the key came with another request before.
            QueueFullError: when too many wait.
        """
        with self._database.write() as connection:
            same = (
                None if key is None else _first(connection, select(jobs).where(jobs.c.idempotency_key == key))
            )
            if same is not None:
                if same["request"] != dict(request):
                    raise OtherRequestError("this Idempotency-Key came with another request before")
                return _job(same), False
            waiting = select(func.count()).where(jobs.c.status == JobStatus.QUEUED)
            if connection.execute(waiting).scalar_one() >= MOST_QUEUED:
                raise QueueFullError(f"{MOST_QUEUED} backtests wait already; come again later")
            row = {
                "id": uuid.uuid4().hex,
                "idempotency_key": key,
                "request": dict(request),
                "status": JobStatus.QUEUED,
                "created_at": now,
            }
            connection.execute(insert(jobs).values(row))
            made = _first(connection, select(jobs).where(jobs.c.id == row["id"]))
        assert made is not None  # noqa: S101 - just written
        return _job(made), True

    def get(self, job_id: str, *, series: bool = False) -> Job | None:
        """Return a job with its result; None when there is none of that id."""
        columns = [column for column in jobs.c if series or column.name != "series"]
        with self._database.read() as connection:
            row = _first(connection, select(*columns).where(jobs.c.id == job_id))
        return None if row is None else _job(row)

    def page(self, status: JobStatus | None, *, before: int | None, limit: int) -> list[Job]:
        """Return jobs without their results, newest first, from before a number."""
        query = select(*_BRIEF).order_by(jobs.c.seq.desc()).limit(limit)
        if status is not None:
            query = query.where(jobs.c.status == status)
        if before is not None:
            query = query.where(jobs.c.seq < before)
        with self._database.read() as connection:
            return [_job(plain(row)) for row in connection.execute(query).mappings()]

    def counts(self) -> dict[JobStatus, int]:
        """Count the jobs by where they stand."""
        query = select(jobs.c.status, func.count()).group_by(jobs.c.status)
        with self._database.read() as connection:
            found = {JobStatus(status): int(count) for status, count in connection.execute(query)}
        return {status: found.get(status, 0) for status in JobStatus}

    def claim(self, now: datetime) -> Job | None:
        """Take the oldest job that waits; None when none does."""
        if not self._any(JobStatus.QUEUED):
            return None
        with self._database.write() as connection:
            oldest = select(jobs).where(jobs.c.status == JobStatus.QUEUED).order_by(jobs.c.seq).limit(1)
            row = _first(connection, oldest)
            if row is None:
                return None
            taken = {"status": JobStatus.RUNNING, "started_at": now, "owner": self._owner, "seen_at": now}
            connection.execute(update(jobs).where(jobs.c.id == row["id"]).values(taken))
        return _job(row | taken)

    def seen(self, job_id: str, now: datetime) -> bool:
        """Say that the owner of a running job lives; tell whether the job still runs."""
        with self._database.write() as connection:
            mine = jobs.c.id == job_id, jobs.c.status == JobStatus.RUNNING, jobs.c.owner == self._owner
            return bool(connection.execute(update(jobs).where(*mine).values(seen_at=now)).rowcount)

    def finish(
        self,
        job_id: str,
        status: JobStatus,
        now: datetime,
        *,
        reason: str | None = None,
        result: Mapping[str, Any] | None = None,
        series: Mapping[str, Any] | None = None,
    ) -> None:
        """Write what came of a running job; one that was cancelled meanwhile stays so."""
        values = {"status": status, "finished_at": now, "reason": reason, "result": result, "series": series}
        with self._database.write() as connection:
            running = jobs.c.id == job_id, jobs.c.status == JobStatus.RUNNING
            connection.execute(update(jobs).where(*running).values(values))

    def cancel(self, job_id: str, now: datetime) -> Job | None:
        """Cancel a job that waits or runs; one cancelled before stays so. None when there is none.

        Raises:
            NotOpenError: when it is over.
        """
        with self._database.write() as connection:
            row = _first(connection, select(*_BRIEF).where(jobs.c.id == job_id))
            if row is None or row["status"] == JobStatus.CANCELLED:
                return None if row is None else _job(row)
            if row["status"] not in _OPEN:
                raise NotOpenError(f"the job is {row['status']} already")
            values = {"status": JobStatus.CANCELLED, "finished_at": now, "reason": "cancelled"}
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
        return _job(row | values)

    def interrupt_silent(self, now: datetime, is_dead: Callable[[str], bool]) -> int:
        """Mark running jobs whose owner is silent, or known to be dead, as interrupted; return how many."""
        if not self._any(JobStatus.RUNNING):
            return 0
        with self._database.write() as connection:
            running = select(*_BRIEF).where(jobs.c.status == JobStatus.RUNNING)
            lost = [
                row["id"]
                for row in connection.execute(running).mappings()
                if row["owner"] != self._owner and (row["seen_at"] < now - _SILENT or is_dead(row["owner"]))
            ]
            values = {
                "status": JobStatus.INTERRUPTED,
                "finished_at": now,
                "reason": "the server that ran it stopped",
            }
            for job_id in lost:
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(values))
        return len(lost)

    def _any(self, status: JobStatus) -> bool:
        """Tell whether a job stands so, without queueing for the lock of writers."""
        with self._database.read() as connection:
            return (
                connection.execute(select(jobs.c.seq).where(jobs.c.status == status).limit(1)).scalar()
                is not None
            )


def _first(connection: Connection, query: Select[Any]) -> dict[str, Any] | None:
    row = connection.execute(query).mappings().first()
    return None if row is None else plain(row)


def _job(row: Mapping[str, Any]) -> Job:
    kept = {name: value for name, value in row.items() if name in Job.__dataclass_fields__}
    return Job(**kept | {"status": JobStatus(row["status"])})
