"""Writes to a store in real processes that may be killed at any point; a script of the tests.

Importing numpy, pandas and pyarrow takes longer than an update: they are imported once, here, and every run
is a fork. A line on standard input is a JSON list of runs to start side by side, each with ``root`` (the
store); either ``step`` (a number of the list below) or ``done`` (a file that gets a line for each update that
returned, of symbols that grow to ``rows`` candles one at a time); and ``kill_at_operation``, ``kill_at_line``
(which of its file operations, or lines of code, kills it), ``kill_after_s`` (when it is killed from outside)
or none of them. A line comes back: for each run its status, negative for a signal, and how many operations
and lines it walked.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet  # noqa: F401 - imported once

from marketgpt_core.candles import PRICES
from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import FetchReason
from marketgpt_core.interval import Interval
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.store import Store, layout, locking, quarantine  # noqa: F401 - imported once

NAME, DAY = "src", Interval.DAY
HISTORY = make_candles(["AAA", "BBB", "CCC"], num_candles=400)
CLOCK = FixedClock(datetime(2024, 6, 3, tzinfo=UTC))
_OPERATIONS = frozenset({
    "open", "os.mkdir", "os.remove", "os.rename", "os.chmod", "os.scandir", "fcntl.flock", "tempfile.mkstemp",
})  # fmt: skip
_OURS = (
    str(Path(layout.__file__).parent),
    str(Path(sys.modules["marketgpt_core"].__file__).parent / "files.py"),
)


def steps() -> list[Callable[[Store], object]]:
    """Every kind of change, in an order in which each changes what is stored."""
    aaa, bbb = HISTORY["AAA"], HISTORY["BBB"]
    halved = replace(aaa, **{name: getattr(aaa, name) / 2 for name in PRICES})
    rows = pd.DataFrame(
        {"symbol": "AAA", "time": aaa.time[:3], "close": [0.0, np.nan, -1.0], "reason": "bad"}
    )
    return [
        lambda store: store.update(NAME, aaa[:200], since=None, whole=True),
        lambda store: store.failed(NAME, DAY, "BBB", FetchReason.THROTTLED, "429"),
        lambda store: store.quarantine(NAME, DAY, rows[:2]),
        lambda store: store.update(NAME, aaa[190:250], since=None, whole=False),
        lambda store: store.update(NAME, bbb[:100], since=CLOCK.now(), whole=True),
        lambda store: store.quarantine(NAME, DAY, rows),
        lambda store: store.update(NAME, halved, since=None, whole=True),
        lambda store: store.touch(NAME, DAY, "BBB", since=None),
        lambda store: store.update(NAME, bbb[90:], since=None, whole=False),
    ]


def grow(store: Store, most_rows: int) -> Iterator[str]:
    """Let every symbol grow by one candle at a time, from what is stored on."""
    for rows in range(1, most_rows + 1):
        for symbol, series in HISTORY.items():
            entry = store.entry(NAME, DAY, symbol)
            if entry is None or entry.rows < rows:
                store.update(NAME, series[:rows], since=None, whole=entry is None or rows % 2 == 0)
                yield f"{symbol} {rows}"


class _Walk:
    """Counts file operations and lines of ours, and kills the process at one of them."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.operations = self.lines = 0
        self._operation, self._line = order.get("kill_at_operation"), order.get("kill_at_line")

    def operation(self, event: str, _: tuple[Any, ...]) -> None:
        if event in _OPERATIONS:
            self.operations += 1
            if self.operations == self._operation:
                os.kill(os.getpid(), signal.SIGKILL)

    def trace(self, frame: Any, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(_OURS):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self._line:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.trace


def _work(order: dict[str, Any], report: int) -> None:
    store = Store(Path(order["root"]), clock=CLOCK)
    if "done" in order:
        done = os.open(order["done"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        for line in grow(store, order["rows"]):
            os.write(done, f"{line}\n".encode())
        return
    walk, step = _Walk(order), steps()[order["step"]]
    sys.addaudithook(walk.operation)
    if "kill_at_operation" not in order:  # tracing takes its time
        sys.settrace(walk.trace)
    step(store)
    sys.settrace(None)
    os.write(report, json.dumps({"operations": walk.operations, "lines": walk.lines}).encode())


def _start(order: dict[str, Any]) -> tuple[int, int]:
    readable, writable = os.pipe()
    child = os.fork()
    if child:
        os.close(writable)
        return child, readable
    status = 1
    try:
        os.close(readable)
        _work(order, writable)
        status = 0
    except BaseException as error:  # noqa: BLE001 - the parent must hear of it
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        sys.stderr.flush()
        os._exit(status)


def _end(child: int, readable: int, order: dict[str, Any]) -> dict[str, int]:
    if order.get("kill_after_s") is not None:
        select.select([readable], [], [], order["kill_after_s"])
        os.kill(child, signal.SIGKILL)
    with os.fdopen(readable) as file:
        text = file.read()
    _, status = os.waitpid(child, 0)
    return {"status": os.waitstatus_to_exitcode(status), **(json.loads(text) if text else {})}


def _serve() -> None:
    # A process that is killed loses nothing the system has taken; flushing to the disk guards against more.
    os.fsync = lambda _: None
    for line in sys.stdin:
        orders = json.loads(line)
        started = [_start(order) for order in orders]
        ends = [_end(*one, order) for one, order in zip(started, orders, strict=True)]
        print(json.dumps(ends), flush=True)


if __name__ == "__main__":
    _serve()
