"""Runs ``marketgpt data fetch`` in real processes that may be killed at any point; a script of the tests.

Importing pandas and yfinance takes longer than a fetch: they are imported once, here, and every fetch is a
fork. One JSON object a line on standard input asks for one fetch: ``arguments`` of the command, ``now`` (what
the clock starts from), ``output`` (a file), and either ``kill_at`` (which of its steps kills it: a file or
folder made, opened, renamed or removed, a lock, a connection) or ``kill_after_s`` (when it is killed from
outside), or neither. For each, a line comes back: ``status``, negative for a signal, and ``steps`` walked by
one that was not killed.
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
_STEPS = frozenset({
    "open", "os.mkdir", "os.remove", "os.rename", "os.chmod", "os.truncate", "os.listdir", "os.scandir",
    "fcntl.flock", "tempfile.mkstemp", "socket.connect",
})  # fmt: skip


def _set_clock(start: str) -> None:
    """Let the machine's clock begin at a moment; it goes on from there."""
    from marketgpt_core.clock import SystemClock

    began, origin = time.monotonic(), datetime.fromisoformat(start).replace(tzinfo=UTC)
    SystemClock.now = lambda self: origin + timedelta(seconds=time.monotonic() - began)  # type: ignore[method-assign]


class _Steps:
    """Counts the process's steps outside itself, and kills it at one of them."""

    def __init__(self, kill_at: int | None) -> None:
        self.count = 0
        self._kill_at = kill_at

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in _STEPS:
            self.count += 1
            if self.count == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


def _fetch(order: dict[str, Any], report: int) -> None:
    from marketgpt_core.cli import main

    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(output, 1)
    os.dup2(output, 2)
    _set_clock(order["now"])
    steps = _Steps(order.get("kill_at"))
    sys.addaudithook(steps)
    try:
        main(["data", "fetch", *order["arguments"]])
    except SystemExit as stop:
        sys.stdout.flush()
        sys.stderr.flush()
        os.write(report, str(steps.count).encode())
        os._exit(int(stop.code or 0))


def _forked(order: dict[str, Any]) -> tuple[int, int]:
    """Return the exit status, negative for a signal, and the steps of one that was not killed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        try:
            _fetch(order, writing)
        finally:
            os._exit(70)  # whatever it was, the child must not go on as a parent
    os.close(writing)
    if order.get("kill_after_s") is not None:
        # Nobody but us collects the child, so its number cannot have become another's.
        watched = os.pidfd_open(pid)
        if not select.select([watched], [], [], order["kill_after_s"])[0]:
            os.kill(pid, signal.SIGKILL)
        os.close(watched)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reading, "rb") as pipe:
        steps = pipe.read()
    return os.waitstatus_to_exitcode(status), int(steps or 0)


def main() -> None:
    """Answer orders until there are no more."""
    import yfinance

    yfinance.set_tz_cache_location(str(Path(sys.argv[1]) / "yfinance"))
    for name in _IMPORTED_ONCE:
        importlib.import_module(name)
    print(json.dumps({"threads": threading.active_count()}), flush=True)
    for line in sys.stdin:
        status, steps = _forked(json.loads(line))
        print(json.dumps({"status": status, "steps": steps}), flush=True)


if __name__ == "__main__":
    main()
