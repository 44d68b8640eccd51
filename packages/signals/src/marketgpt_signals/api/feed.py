"""New signals for many listeners: one reader of the ledger, a bounded queue each.

A listener that does not keep up is let go: it comes back with the number of the last signal it got and is
read what it missed, at its own pace. Nobody waits for it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from sse_starlette import ServerSentEvent

from marketgpt_core.clock import Clock
from marketgpt_core.errors import DataError, MarketGPTError
from marketgpt_core.signal import Signal
from marketgpt_signals.api.models import SignalOut
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.queries import SignalFilter

logger = logging.getLogger(__name__)

# Signals read at once, for all or for one that catches up.
_BATCH = 250
# Of numbers looked through at once for one that catches up: its filter may leave few of them.
_WINDOW = 2_000
_MOST_WAITING = 1_000
_MOST_LISTENERS = 2_000
_RETRY_MS = 1_000
# The reader of one listener still serves the next one that soon.
_IDLE_S = 5.0
_MOST_PATIENCE_S = 1.0
_PAUSE_S = 0.02


@dataclass(eq=False)
class Listener:
    """Somebody who listens.

    Attributes:
        wanted: What is sent to it.
        stopping: Tells that the server wants to stop.
        waiting: Events not sent yet.
        sent: Number of the last signal it got or that was passed over for it.
        let_go: It did not keep up.
    """

    wanted: SignalFilter
    stopping: Callable[[], bool]
    waiting: deque[bytes] = field(default_factory=deque)
    sent: int = 0
    let_go: bool = False
    closed: bool = False
    wake: asyncio.Event = field(default_factory=asyncio.Event)

    def end(self, *, let_go: bool = False) -> None:
        """Let its stream end."""
        self.let_go |= let_go
        self.closed = True
        self.waiting.clear()
        self.wake.set()


class Feed:
    """Reads the ledger while anybody listens.

    Args:
        ledger: Read every ``every_s``, in a thread.
        clock: Tells which signals have expired.
        every_s: Seconds between two looks.
        heartbeat_s: Seconds of silence after which a listener is told that nothing is new.
    """

    def __init__(
        self, ledger: Ledger, clock: Clock, *, every_s: float = 0.25, heartbeat_s: float = 15.0
    ) -> None:
        self._ledger = ledger
        self._clock = clock
        self._every_s = every_s
        self._heartbeat_s = heartbeat_s
        self._listeners: set[Listener] = set()
        self._position = 0
        self._reader: asyncio.Task[None] | None = None
        self._starting = asyncio.Lock()
        self._closed = False
        self.num_open = 0
        self.num_let_go = 0

    @property
    def is_full(self) -> bool:
        """Whether one more would be too many."""
        return self.num_open >= _MOST_LISTENERS

    def close(self) -> None:
        """End every stream, those to come as well, once they have caught up."""
        self._closed = True
        for listener in list(self._listeners):
            listener.end()

    async def position(self, after: int | None) -> int:
        """Return where a listener starts: after the number it names, else at what is newest now.

        Raises:
            DataError: for a number the ledger has not come to: it was given by another ledger.
        """
        newest = await asyncio.to_thread(self._ledger.newest_seq)
        if after is not None and after > newest:
            raise DataError(f"Last-Event-ID {after} is not of this ledger, whose newest signal is {newest}")
        return newest if after is None else after

    async def listen(
        self, wanted: SignalFilter, start: int, stopping: Callable[[], bool]
    ) -> AsyncIterator[bytes]:
        """Yield events of the signals written after a number, without end.

        Args:
            wanted: Which signals.
            start: Of :meth:`position`.
            stopping: Tells that the server wants to stop.
        """
        listener = Listener(wanted, stopping, sent=start)
        self.num_open += 1
        try:
            yield ServerSentEvent(comment="listening", id=str(start), retry=_RETRY_MS).encode()
            async for chunk in self._catch_up(listener):
                yield chunk
            while not (listener.closed or self._closed):
                try:
                    await asyncio.wait_for(listener.wake.wait(), self._heartbeat_s)
                except TimeoutError:
                    # An id without data is kept by the other side: it need not look through all of it again.
                    yield ServerSentEvent(comment="nothing new", id=str(listener.sent)).encode()
                    continue
                listener.wake.clear()
                chunk = b"".join(listener.waiting)
                listener.waiting.clear()
                if chunk:
                    yield chunk
            if listener.let_go:
                yield ServerSentEvent(comment="too slow: come again", retry=_RETRY_MS).encode()
        finally:
            self.num_open -= 1
            self._listeners.discard(listener)

    async def _catch_up(self, listener: Listener) -> AsyncIterator[bytes]:
        """Read a listener what it missed, at its own pace, and join it to the others."""
        while True:
            await self._start_reading()
            if listener.sent >= self._position:
                # No await from the comparison on: nothing is read in between, so nothing is lost or twice.
                if not self._closed:
                    self._listeners.add(listener)
                return
            last = min(self._position, listener.sent + _WINDOW)
            found = await asyncio.to_thread(self._ledger.written, listener.sent, listener.wanted, last=last)
            for start in range(0, len(found), _BATCH):
                yield b"".join(self._event(*one) for one in found[start : start + _BATCH])
            if not found:
                yield ServerSentEvent(comment="looking", id=str(last)).encode()
            listener.sent = last
            if listener.stopping():
                listener.end()
                return

    async def _start_reading(self) -> None:
        async with self._starting:
            if self._reader is None or self._reader.done():
                self._position = await asyncio.to_thread(self._ledger.newest_seq)
                self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        idle_s = 0.0
        while True:
            await asyncio.sleep(self._every_s)
            idle_s = 0.0 if self._listeners else idle_s + self._every_s
            if idle_s > _IDLE_S:
                return
            if any(listener.stopping() for listener in self._listeners):
                for listener in list(self._listeners):
                    listener.end()
                return
            try:
                found = await asyncio.to_thread(self._new)
            except MarketGPTError as error:
                logger.error("the stream waits, the ledger cannot be read: %s", error)  # noqa: TRY400
                continue
            if found:
                await self._hand_out(found)

    def _new(self) -> list[tuple[int, Signal]]:
        return self._ledger.written(self._position, SignalFilter(), limit=_BATCH)

    async def _hand_out(self, found: list[tuple[int, Signal]]) -> None:
        events = [(seq, signal, self._event(seq, signal)) for seq, signal in found]
        self._position = found[-1][0]
        for listener in list(self._listeners):
            mine = [event for _, signal, event in events if listener.wanted.admits(signal)]
            listener.sent = self._position
            if len(listener.waiting) + len(mine) > _MOST_WAITING:
                self._listeners.discard(listener)
                self.num_let_go += 1
                listener.end(let_go=True)
            elif mine:
                listener.waiting.extend(mine)
                listener.wake.set()
        await self._let_them_send()

    async def _let_them_send(self) -> None:
        """Wait until nearly all have sent what they were given: a burst is theirs to take, not to fail at."""
        waited_s = 0.0
        while waited_s < _MOST_PATIENCE_S:
            await asyncio.sleep(_PAUSE_S)
            waited_s += _PAUSE_S
            behind = sum(1 for listener in self._listeners if listener.waiting)
            if behind <= len(self._listeners) // 10:
                return

    def _event(self, seq: int, signal: Signal) -> bytes:
        said = SignalOut.of(signal, self._clock.now()).model_dump_json()
        return ServerSentEvent(data=said, event="signal", id=str(seq)).encode()
