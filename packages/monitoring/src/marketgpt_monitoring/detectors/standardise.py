"""Bringing a stream to unit variance, so that one threshold fits every stream."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import DataError


def check_values(values: NDArray[np.float64], *, num_seen: int) -> NDArray[np.float64]:
    """Return the values as float64 if a detector may be fed with them.

    Args:
        values: shape (n,).
        num_seen: Values fed before, to name the position in the stream.

    Raises:
        DataError: for another shape or a value that is not finite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1:
        raise DataError(f"a drift detector takes values of shape (n,), got {array.shape}")
    bad = np.flatnonzero(~np.isfinite(array))
    if len(bad):
        raise DataError(f"value {num_seen + int(bad[0])} of the stream is {array[bad[0]]}, not finite")
    return array


class Standardiser:
    """Centres and scales by the mean and standard deviation of the first values of a stream.

    The scale is frozen after the warm-up: were it to go on, a change of level would widen the very ruler it
    is measured with.

    Args:
        warmup_points: Values the scale is taken from. They are held back until it is known.
    """

    def __init__(self, warmup_points: int) -> None:
        self.warmup_points = warmup_points
        self.mean = 0.0
        self.scale = 1.0
        self._waiting: list[float] | None = []

    @property
    def ready(self) -> bool:
        """Whether the scale is known."""
        return self._waiting is None

    def feed(self, value: float) -> Iterator[float]:
        """Yield the standardised values that may now be looked at: none, the whole warm-up, or this one."""
        if self._waiting is None:
            yield (value - self.mean) / self.scale
            return
        self._waiting.append(value)
        if len(self._waiting) < self.warmup_points:
            return
        first = np.asarray(self._waiting)
        self._waiting = None
        self.mean = float(first.mean())
        # A stream that never moved has no spread; the floor keeps rounding from counting as movement.
        self.scale = max(float(first.std(ddof=1)), 1e-6 * max(1.0, abs(self.mean)))
        yield from ((first - self.mean) / self.scale).tolist()

    def undo(self, value: float) -> float:
        """Return a standardised value in the stream's own units."""
        return self.mean + self.scale * value


def split_levels(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return the means before and after the likeliest single change of mean.

    The split maximises the between-part sum of squares, which is the maximum-likelihood change point for
    normal values (Hinkley, Biometrika 57, 1970).

    Args:
        values: shape (n,), n >= 2.
    """
    n = len(values)
    left = np.arange(1, n)
    sums = np.cumsum(values)[:-1]
    gain = (sums - left * values.mean()) ** 2 / (left * (n - left))
    at = int(np.argmax(gain)) + 1
    return float(values[:at].mean()), float(values[at:].mean())
