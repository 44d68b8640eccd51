"""Being asked to stop: by a person, by the scheduler before the time is up, by a job of more right."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from marketgpt_core.errors import MarketGPTError

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)
# sysexits.h: a failure that passes; "run me again".
EXIT_STATUS = 75


class TrainingInterrupted(MarketGPTError):  # noqa: N818 - not a failure
    """Training was asked to stop and can go on from its last checkpoint."""


class StopRequest:
    """Whether, and by which signal, this process was asked to stop."""

    def __init__(self) -> None:
        self.signal_name = ""

    def __bool__(self) -> bool:
        return bool(self.signal_name)


@contextmanager
def listening() -> Iterator[StopRequest]:
    """Turn SIGTERM and SIGUSR1 into a request while the block runs.

    Python lets only the main thread set handlers; elsewhere nothing is heard.
    """
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def heard(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form signal asks for
        request.signal_name = signal.Signals(number).name

    before = {number: signal.signal(number, heard) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leaving_at_once() -> None:
    """Have SIGTERM and SIGUSR1 end this process with the status of a stop wherever nobody listens.

    Before its first step and after its last one a training has nothing to keep that is not on the disk.
    """

    def leave(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the form signal asks for
        hear_nothing()
        sys.exit(EXIT_STATUS)

    for number in SIGNALS:
        signal.signal(number, leave)


def hear_nothing() -> None:
    """Ignore what asks to stop from now on: Python forgets handlers while it ends, and would die of it."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
