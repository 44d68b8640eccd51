"""Running independent chunks of work side by side, one thread of torch each.

Decoding is many small operations: two chunks on two cores are faster than one operation split over both, and
on a busy machine threads that wait for each other after every operation can be ten times slower.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
Result = TypeVar("Result")


class _OneThread:
    """Sets torch to one thread while anybody needs it; the last one out restores what was."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = 1

    @contextmanager
    def hold(self) -> Iterator[None]:
        with self._lock:
            if self._users == 0:
                self._before = torch.get_num_threads()
                torch.set_num_threads(1)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    torch.set_num_threads(self._before)

    @property
    def available(self) -> int:
        with self._lock:
            return self._before if self._users else torch.get_num_threads()


_one_thread = _OneThread()


def available_threads() -> int:
    """Return how many threads torch may use, also while chunks hold it at one."""
    return _one_thread.available


def run_chunks(work: Callable[[Item], Result], items: Sequence[Item], *, parallel: bool) -> list[Result]:
    """Return ``work(item)`` for each item, in order; ``parallel``: as many at a time as torch has threads."""
    if not parallel:
        return [work(item) for item in items]
    workers = max(1, min(available_threads(), len(items)))
    with _one_thread.hold():
        if workers == 1:
            return [work(item) for item in items]
        with ThreadPoolExecutor(workers, thread_name_prefix="marketgpt-paths") as pool:
            return list(pool.map(work, items))
