"""Looking at run folders, once for all viewers."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.errors import RunError
from marketgpt_training.page.curves import Curves
from marketgpt_training.status import runs_below, states_of

# Runs whose curves are kept: as many as people look at at a time.
_MOST_CURVES = 8


@dataclass(frozen=True)
class Runs:
    """Which runs are shown.

    Attributes:
        named: Runs by their folders.
        parents: Folders whose runs are shown, those to come as well.
    """

    named: tuple[Path, ...] = ()
    parents: tuple[Path, ...] = ()

    def folders(self) -> list[Path]:
        """Return the runs there are now."""
        found = list(self.named)
        if self.parents:
            with suppress(RunError, OSError):  # none yet
                found += runs_below(self.parents)
        return list(dict.fromkeys(found))


class RunsWatch:
    """Reads states and curves at most once an interval, however many pages ask.

    Args:
        runs: Which.
        interval_s: Shortest time between two looks.
        clock: Tells which run is silent.
    """

    def __init__(self, runs: Runs, *, interval_s: float = 1.0, clock: Clock | None = None) -> None:
        self._runs, self._interval_s = runs, interval_s
        self._clock = clock or SystemClock()
        self._states: list[dict[str, Any]] = []
        self._looked_at = -float("inf")
        self._curves: OrderedDict[str, tuple[Curves, asyncio.Lock]] = OrderedDict()
        self._lock = asyncio.Lock()

    async def states(self) -> Sequence[dict[str, Any]]:
        """Return a row a run; one that cannot be read is a row that says so."""
        async with self._lock:
            now = asyncio.get_running_loop().time()
            if now - self._looked_at >= 0.9 * self._interval_s:
                self._states = await asyncio.to_thread(self._look)
                self._looked_at = now
        return self._states

    def _look(self) -> list[dict[str, Any]]:
        return states_of(self._runs.folders(), now=self._clock.now())

    async def curves(self, run: str) -> tuple[Curves, bool]:
        """Return the curves of a run, read a bounded part further, and whether that is all there is.

        Args:
            run: As a state names it.

        Raises:
            OSError: when its file cannot be read.
        """
        if run not in self._curves:
            self._curves[run] = (Curves(Path(run)), asyncio.Lock())
            while len(self._curves) > _MOST_CURVES:
                self._curves.popitem(last=False)
        self._curves.move_to_end(run)
        curves, lock = self._curves[run]
        async with lock:
            is_all = await asyncio.to_thread(curves.update)
        return curves, is_all
