"""How far a run is and how long it still takes, over all its starts: the one home of that arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

# After so many steps a start is judged by its own speed: it may run on another machine than those before.
_OWN_STEPS = 20


class Pace:
    """A run's steps and seconds; the training loop moves it on, observers read it.

    Attributes:
        total_steps: Optimizer steps planned, ``loop.max_steps`` respected.
        step: Steps done.
        starts: How often the run was started or resumed.
        training_s: Seconds spent in steps, of every start.
        can_stop_early: Whether patience may end the run before, which makes the time left an upper bound.

    Args:
        clock: Tells seconds.
    """

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.total_steps = self.step = self.starts = 0
        self.training_s = self._earlier_s = 0.0
        self.can_stop_early = False
        self._earlier_steps = 0
        self._began = clock()
        # Of this start: the step after which its clock runs, and when that was.
        self._first: tuple[int, float] | None = None

    def begin(
        self,
        total_steps: int,
        *,
        step: int = 0,
        spent_s: float = 0.0,
        training_s: float = 0.0,
        starts: int = 1,
        can_stop_early: bool = False,
    ) -> None:
        """Note that a start of the run begins.

        Args:
            total_steps: Optimizer steps planned.
            step: Steps that earlier starts have done.
            spent_s: Seconds they took, validation and checkpoints included.
            training_s: Seconds of it spent in steps.
            starts: Starts so far, this one included.
            can_stop_early: Whether patience may end the run before.
        """
        self.total_steps, self.step, self.starts = total_steps, step, starts
        self.training_s, self._earlier_s, self._earlier_steps = training_s, spent_s, step
        self.can_stop_early = can_stop_early
        self._began, self._first = self._clock(), None

    def advance(self, step: int, training_s: float) -> None:
        """Note that a step is done: steps done by now, and seconds spent in steps."""
        self.step, self.training_s = step, training_s
        if self._first is None or step <= self._first[0]:
            # Loading and compiling are over; after a rollback the steps to come are counted anew.
            self._first = (step, self._clock())

    @property
    def here_s(self) -> float:
        """Seconds since this start began."""
        return self._clock() - self._began

    @property
    def spent_s(self) -> float:
        """Seconds of every start, as far as checkpoints know of them."""
        return self._earlier_s + self.here_s

    @property
    def eta_s(self) -> float | None:
        """Seconds the steps left will take, validation and checkpoints as before included; None: unknown."""
        left = max(self.total_steps - self.step, 0)
        own = self.step - self._first[0] if self._first else 0
        if own and self._first and (own >= _OWN_STEPS or not self._earlier_steps):
            return left * (self._clock() - self._first[1]) / own
        if self._earlier_steps:
            return left * self._earlier_s / self._earlier_steps
        return None if left else 0.0


def duration(seconds: float | None, *, at_most: bool = False) -> str:
    """Return seconds as people write them, ``at most`` where that is what they are; unknown is a dash."""
    if seconds is None:
        return "-"
    return f"{'at most ' if at_most else ''}{timedelta(seconds=round(seconds))}"
