"""One writer at a time, across threads, processes and machines that share the folder."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from marketgpt_core.clock import Clock
from marketgpt_core.errors import DataError

# A symbol's update holds the lock for milliseconds.
_POLL_S = 0.005
_MOST_OF_HOLDER = 200


@contextmanager
def locked(path: Path, *, timeout_s: float, clock: Clock) -> Iterator[None]:
    """Hold an exclusive lock on a file while the block runs; the operating system frees it if we die.

    Args:
        path: The lock file; made if need be, and left there: removing it would split the waiters.
        timeout_s: How long to wait for another writer.
        clock: Tells when it was taken, for who waits for it.

    Raises:
        DataError: when another holds it for longer, with who; or when the folder cannot be written to.
    """
    lock = FileLock(path, timeout=timeout_s, poll_interval=_POLL_S)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise DataError(
            f"{path.parent} is being written to by {_holder(path)}: gave up after {timeout_s:g} s; "
            "wait for it to end, or stop it"
        ) from None
    except OSError as error:
        raise DataError(f"cannot lock {path}: {error.strerror}") from error
    try:
        # Only for people: who holds the lock is the operating system's to say.
        with suppress(OSError):
            path.write_text(
                f"process {os.getpid()} on {platform.node()} since {clock.now():%Y-%m-%dT%H:%M:%SZ}"
            )
        yield
    finally:
        lock.release()


def _holder(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")[:_MOST_OF_HOLDER]
    except OSError:
        text = ""
    return " ".join(text.split()) or "another process"
