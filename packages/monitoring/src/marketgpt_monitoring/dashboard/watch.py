"""Noticing that the ledger has something new, once for all viewers."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from marketgpt_core.signal import Signal, SignalReader


@dataclass(frozen=True)
class LedgerState:
    """What the page has to know of the ledger, for one symbol.

    Attributes:
        symbols: Symbols that have signals.
        newest: The symbol's newest signals, one or more a horizon, by horizon.
    """

    symbols: tuple[str, ...]
    newest: tuple[Signal, ...]

    @property
    def horizons(self) -> tuple[int, ...]:
        """Horizons there are, increasing."""
        return tuple(dict.fromkeys(signal.horizon_bars for signal in self.newest))


class LedgerWatch:
    """Reads the ledger's state at most once an interval and symbol, however many pages ask.

    Args:
        reader: The ledger; called from worker threads.
        interval_s: Shortest time between two reads of one symbol's state.
    """

    def __init__(self, reader: SignalReader, *, interval_s: float) -> None:
        self._reader = reader
        self._interval_s = interval_s
        self._reads: dict[str | None, tuple[float, asyncio.Task[LedgerState]]] = {}

    async def state(self, symbol: str | None) -> LedgerState:
        """Return the state for a symbol; None takes the first there is.

        Raises:
            Exception: whatever the ledger raised.
        """
        now = asyncio.get_running_loop().time()
        # A read that is under way is waited for, not repeated; 10% slack, since timers tick a little early.
        self._reads = {
            key: (at, task)
            for key, (at, task) in self._reads.items()
            if not task.done() or now - at < 0.9 * self._interval_s
        }
        if symbol not in self._reads:
            task = asyncio.create_task(asyncio.to_thread(self._read, symbol))
            self._reads[symbol] = (now, task)
        # Shielded: one viewer who leaves must not cancel what the others wait for.
        return await asyncio.shield(self._reads[symbol][1])

    def _read(self, symbol: str | None) -> LedgerState:
        symbols = tuple(self._reader.symbols())
        chosen = symbol if symbol in symbols else next(iter(symbols), None)
        if chosen is None:
            return LedgerState((), ())
        newest = self._reader.signals(symbol=chosen, latest=True)
        newest.sort(key=lambda signal: (signal.horizon_bars, signal.created_at, signal.id))
        return LedgerState(symbols, tuple(newest))
