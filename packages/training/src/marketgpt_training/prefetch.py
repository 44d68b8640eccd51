"""Making the next batches while the model works on one."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

Item = TypeVar("Item")

_AHEAD = 2
_POLL_S = 0.1


def prefetched(items: Iterable[Item], *, ahead: int = _AHEAD) -> Generator[Item]:
    """Yield items in their order, made in a thread of their own.

    Args:
        items: What makes them; used by that thread alone.
        ahead: Most items made and not yet taken, beside the one in the making.

    Raises:
        BaseException: what making an item raised, when it is that item's turn.
    """
    made: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(maxsize=ahead)
    is_left = threading.Event()

    def put(item: Item | None, error: BaseException | None) -> bool:
        while not is_left.is_set():
            try:
                made.put((item, error), timeout=_POLL_S)
            except queue.Full:
                continue
            return True
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item, None):
                    return
            put(None, _End())
        except BaseException as error:  # noqa: BLE001 - raised where the item is asked for
            put(None, error)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if isinstance(error, _End):
                return
            if error is not None:
                raise error
            yield item  # type: ignore[misc]
    finally:
        is_left.set()
        thread.join()


class _End(Exception):  # noqa: N818 - a mark, never raised
    """No more items."""
