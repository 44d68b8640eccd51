"""Runs queued jobs, one at a time, each in a process of its own."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
import threading
import time
import uuid
from contextlib import suppress
from typing import Any

from marketgpt_core.clock import Clock
from marketgpt_core.errors import MarketGPTError
from marketgpt_signals.api.jobs.store import SEEN_EVERY_S, Job, JobStore
from marketgpt_signals.api.models import JobStatus
from marketgpt_signals.database import Database

logger = logging.getLogger(__name__)

_COMMAND = (sys.executable, "-m", "marketgpt_signals.api.jobs.worker")
_LOOK_S = 0.1
# Jobs queued by another server on the same database are looked for this often.
_IDLE_S = 5.0
_MOST_S = 3_600.0
_LIVING: set[str] = set()


class JobRunner:
    """The queue of a server. Its thread begins with the first job, or with the server.

    Args:
        database: Of the ledger.
        source: Candles that jobs trade on; None: the server has none, and nothing runs.
        clock: Tells when things happened.
        command: The worker's command line.
        most_s: A job that takes longer fails.
    """

    def __init__(
        self,
        database: Database,
        source: str | None,
        clock: Clock,
        *,
        command: tuple[str, ...] = _COMMAND,
        most_s: float = _MOST_S,
    ) -> None:
        self._owner = f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:8]}"
        self.store = JobStore(database, self._owner)
        self.source = source
        self._database = database
        self._clock = clock
        self._command = command
        self._most_s = most_s
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._cancelled: set[str] = set()

    def start(self) -> None:
        """Begin to run jobs, unless it has begun."""
        if self.source is None:
            return
        with self._lock:
            if self._thread is None and not self._stopping.is_set():
                _LIVING.add(self._owner)
                self._thread = threading.Thread(target=self._loop, name="backtests", daemon=True)
                self._thread.start()
        self._wake.set()

    def cancel(self, job_id: str) -> Job | None:
        """Cancel a job; its process is killed. None when there is none of that id.

        Raises:
            NotOpenError: when it is over.
        """
        found = self.store.cancel(job_id, self._clock.now())
        if found is not None and found.started_at is not None:
            self._cancelled.add(job_id)
        return found

    def stop(self) -> None:
        """Stop: the job that runs is interrupted, those that wait go on with the next server."""
        self._stopping.set()
        self._wake.set()
        with self._lock:
            if self._thread is not None:
                self._thread.join(timeout=10)
        _LIVING.discard(self._owner)

    def _loop(self) -> None:
        while not self._stopping.is_set():
            job = None
            try:
                self.store.interrupt_silent(self._clock.now(), is_dead=_is_dead)
                job = self.store.claim(self._clock.now())
                if job is not None:
                    self._run(job)
            except Exception:  # the queue must outlive one job, and a ledger that is away for a while
                logger.exception("a backtest could not be run or kept")
                self._give_up(job)
                job = None
            if job is None:
                self._wake.wait(_IDLE_S)
                self._wake.clear()

    def _give_up(self, job: Job | None) -> None:
        if job is not None:
            reason = "a defect of the server; its log says more"
            with suppress(MarketGPTError):
                self.store.finish(job.id, JobStatus.FAILED, self._clock.now(), reason=reason)

    def _run(self, job: Job) -> None:
        asked = {"location": self._database.location, "source": self.source, "request": job.request}
        pipes: dict[str, Any] = {
            "stdin": subprocess.PIPE,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        process = subprocess.Popen(self._command, text=True, encoding="utf-8", **pipes)  # noqa: S603 - ours
        try:
            status, answer = self._await(process, job, json.dumps(asked))
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        self._cancelled.discard(job.id)
        self.store.finish(job.id, status, self._clock.now(), **answer)

    def _await(
        self, process: subprocess.Popen[str], job: Job, asked: str
    ) -> tuple[JobStatus, dict[str, Any]]:
        begun = last_seen = time.monotonic()
        unsent: str | None = asked
        while True:
            try:
                out, err = process.communicate(unsent, timeout=_LOOK_S)
            except subprocess.TimeoutExpired:
                unsent = None
                now = time.monotonic()
                if self._stopping.is_set():
                    return JobStatus.INTERRUPTED, {"reason": "the server stopped"}
                if now - begun > self._most_s:
                    return JobStatus.FAILED, {"reason": f"it took longer than {self._most_s:g} seconds"}
                if job.id in self._cancelled:
                    return JobStatus.CANCELLED, {"reason": "cancelled"}
                if now - last_seen > SEEN_EVERY_S:
                    last_seen = now
                    if not self.store.seen(job.id, self._clock.now()):
                        self._cancelled.add(job.id)  # over another server
            else:
                return _answered(process.returncode, out, err)


def _answered(status: int, out: str, err: str) -> tuple[JobStatus, dict[str, Any]]:
    if status:
        logger.error("the process of a backtest ended with %s: %s", status, err[-2_000:])
        how = f"signal {-status}" if status < 0 else f"status {status}"
        return JobStatus.FAILED, {"reason": f"its process ended with {how}; the server's log says more"}
    answer = json.loads(out)
    return (JobStatus.FAILED if "reason" in answer else JobStatus.DONE), answer


def _is_dead(owner: str) -> bool:
    """Tell whether an owner was a process of this machine that is gone; of others nothing is known."""
    host, _, rest = owner.partition("/")
    pid = int(rest.partition("/")[0])
    if host != socket.gethostname():
        return False
    if pid == os.getpid():  # in a container every server has the same number
        return owner not in _LIVING
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's, so it lives
    return False
