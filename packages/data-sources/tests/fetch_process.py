"""Runs ``marketgpt data fetch`` in real processes that may be killed at any point; a script of the tests.

Importing pandas and yfinance takes longer than a fetch: they are imported once, here, and every fetch is a
fork. One JSON list a line on standard input orders fetches, which run at the same time. An order has
``arguments`` of the command, ``now`` (what the clock starts from), ``output`` and ``errors`` (files), and
either ``kill_at`` (which of its steps kills it: a file or folder of the store made, opened, listed, renamed
or removed, a lock, a connection), or ``kill_after_s`` (how long after the first of them it is killed from
outside), or neither. For each line a list comes back: of each order its ``status``, negative for a signal,
and the ``steps`` it walked if it was not killed.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_IMPORTED_ONCE = (
    "exchange_calendars",
    "filelock",
    "marketgpt_core.calendars",
    "marketgpt_data_sources.cli.fetch_progress",
    "marketgpt_data_sources.cli.fetch_report",
    "marketgpt_data_sources.download.many",
    "marketgpt_data_sources.source",
    "marketgpt_data_sources.sources.yahoo",
    "marketgpt_data_sources.store.store",
    "marketgpt_data_sources.store.quarantine",
    "marketgpt_data_sources.universes.base",
    "pyarrow.parquet",
)
_ANYWHERE = frozenset({"fcntl.flock", "socket.connect"})
_STEPS = _ANYWHERE | {
    "open", "os.mkdir", "os.remove", "os.rename", "os.chmod", "os.truncate", "os.listdir", "os.scandir",
    "tempfile.mkstemp",
}  # fmt: skip
_FIRST = b"!"


def _set_clock(start: str) -> None:
    """Let the machine's clock begin at a moment; it goes on from there."""
    from marketgpt_core.clock import SystemClock

    began, origin = time.monotonic(), datetime.fromisoformat(start).replace(tzinfo=UTC)
    SystemClock.now = lambda self: origin + timedelta(seconds=time.monotonic() - began)  # type: ignore[method-assign]


class _Steps:
    """Counts a fetch's steps, tells of the first, and kills the process at one of them."""

    def __init__(self, store: str, report: int, kill_at: int | None) -> None:
        self.count = 0
        self._store = store
        self._report = report
        self._kill_at = kill_at

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in _STEPS or not (event in _ANYWHERE or str(arguments[0]).startswith(self._store)):
            return
        self.count += 1
        if self.count == 1:
            os.write(self._report, _FIRST)
        if self.count == self._kill_at:
            os.kill(os.getpid(), signal.SIGKILL)


def _fetch(order: dict[str, Any], report: int) -> None:
    from marketgpt_core.cli import main

    for stream, path in ((1, order["output"]), (2, order["errors"])):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
    _set_clock(order["now"])
    store = order["arguments"][order["arguments"].index("--store") + 1]
    steps = _Steps(store, report, order.get("kill_at"))
    sys.addaudithook(steps)
    try:
        main(["data", "fetch", *order["arguments"]])
    except SystemExit as stop:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(report, str(steps.count).encode())
        os._exit(int(stop.code or 0))


def _forked(order: dict[str, Any]) -> tuple[int, int]:
    """Start a fetch and return its process and where it will tell its steps."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            _fetch(order, writing)
        finally:
            os._exit(70)  # whatever it was, the child must not go on as a parent
    os.close(writing)
    return pid, reading


def _ended(pid: int, reading: int, order: dict[str, Any]) -> dict[str, int]:
    with os.fdopen(reading, "rb") as pipe:
        has_begun = pipe.read(1) == _FIRST  # or has ended
        if has_begun and order.get("kill_after_s") is not None:
            # Nobody but us collects the child, so its number cannot have become another's.
            watched = os.pidfd_open(pid)
            if not select.select([watched], [], [], order["kill_after_s"])[0]:
                os.kill(pid, signal.SIGKILL)
            os.close(watched)
        steps = pipe.read()
    _, status = os.waitpid(pid, 0)
    return {"status": os.waitstatus_to_exitcode(status), "steps": int(steps or 0)}


def main() -> None:
    """Answer orders until there are no more."""
    import yfinance

    yfinance.set_tz_cache_location(str(Path(sys.argv[1]) / "yfinance"))
    for name in _IMPORTED_ONCE:
        importlib.import_module(name)
    print(json.dumps({"threads": threading.active_count()}), flush=True)
    for line in sys.stdin:
        orders = json.loads(line)
        begun = [_forked(order) for order in orders]
        ended = [_ended(*one, order) for one, order in zip(begun, orders, strict=True)]
        print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    main()
