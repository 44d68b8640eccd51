"""Being asked to stop: by a person, by the scheduler before the time is up, by a job of more right."""

from __future__ import annotations

import signal
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
