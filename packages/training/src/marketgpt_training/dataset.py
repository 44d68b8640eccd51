"""Windows over many symbols: every target once an epoch, in an order that the seed alone decides.

Shape suffixes: B batch, T time, K channels, F continuous features, C calendar features, H horizons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from marketgpt_core.errors import DataError
from marketgpt_models.base import InputSpec
from marketgpt_models.features import SeriesFeatures
from marketgpt_training.base import Batch
from marketgpt_training.config import DisturbConfig
from marketgpt_training.disturbance import Disturbance
from marketgpt_training.sampling import Sampling


class WindowDataset:
    """Training or validation windows of ``context`` candles.

    Args:
        features: One per symbol. Row t predicts row t + 1.
        context: Rows of a window.
        target_start: Only targets stamped at or after this count; None counts all.
        target_end: Only targets stamped before this count.
        spec: What the model is built for: ids of assets, and which inputs may be withheld.
        disturb: How windows are disturbed in training; None for validation.
        channel_names: Of the tokens; needed to mirror candles.
        sampling: Which windows an epoch is made of; None: every one once.

    Raises:
        DataError: when no target is left.
    """

    def __init__(
        self,
        features: Sequence[SeriesFeatures],
        *,
        context: int,
        target_start: np.datetime64 | None = None,
        target_end: np.datetime64 | None = None,
        spec: InputSpec,
        disturb: DisturbConfig | None = None,
        channel_names: Sequence[str] = (),
        sampling: Sampling | None = None,
    ) -> None:
        usable = [one for one in features if len(one.time) > 1]
        if not usable:
            raise DataError("no symbol has enough candles for a single window")
        self.context = context
        self._lengths = np.array([len(one.time) for one in usable])
        self._offsets = np.concatenate([[0], np.cumsum(self._lengths)[:-1]])
        self._tokens = np.concatenate([one.tokens for one in usable])
        self._continuous = np.concatenate([one.continuous for one in usable])
        self._calendar = np.concatenate([one.calendar for one in usable])
        self._horizon_z = np.concatenate([one.horizon_z for one in usable])
        self._tasks = np.concatenate([one.tasks for one in usable])
        self._identities = np.array([spec.identity(one.symbol, one.category) for one in usable])
        self._sampling = sampling
        self._categories = np.array([str(one.category) for one in usable])
        self._disturb = None if disturb is None else Disturbance(disturb, spec, self._tokens, channel_names)
        self._counts = np.concatenate([_counts(one.time, target_start, target_end) for one in usable])
        self._targets_before = _running_counts(self._counts, self._horizon_z, self._tasks)
        self.num_targets = int(self._counts.sum())
        if not self.num_targets:
            raise DataError("no candle lies in this part of the split")

    def windows(self, rng: np.random.Generator | None) -> NDArray[np.int64]:
        """Return (series, start) of every window of an epoch, shape (W, 2).

        The windows of a series tile it without overlap. With a generator the tiling starts at a random
        phase (start may be negative: the window's front is padding) and the order is shuffled; without one
        the phase is 0 and the order is that of the series. Windows without a target are left out.
        """
        pieces = []
        for series, length in enumerate(self._lengths):
            phase = int(rng.integers(self.context)) if rng is not None else 0
            starts = np.arange(-phase, length - 1, self.context)
            pieces.append(np.stack([np.full(len(starts), series), starts], axis=1))
        windows = np.concatenate(pieces)
        windows = windows[[bool(self._counts[self._rows(s, a)[1]].any()) for s, a in windows]]
        if rng is None:
            return windows
        if self._sampling is not None:
            windows = windows[self._sampling.choose(self._categories[windows[:, 0]], rng)]
        return rng.permutation(windows)

    def _rows(self, series: int, start: int) -> tuple[slice, slice]:
        length, offset = self._lengths[series], self._offsets[series]
        first, last = max(start, 0), min(start + self.context, length - 1)
        return slice(first - start, last - start), slice(offset + first, offset + last)

    def target_counts(self, windows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return what the windows ask for: candles, horizons, classes of each task; shape (2 + J,)."""
        sources = [self._rows(int(series), int(start))[1] for series, start in windows]
        before = self._targets_before
        ends, starts = ([getattr(one, end) for one in sources] for end in ("stop", "start"))
        return np.asarray(before[ends].sum(axis=0) - before[starts].sum(axis=0))

    def batch(self, windows: NDArray[np.int64], rngs: Sequence[np.random.Generator] = ()) -> Batch:
        """Return the tensors of B windows.

        Keys: tokens (B,T,K), targets (B,T,K), calendar (B,T,C), asset (B,), category (B,), tasks (B,T,H,J)
        int64; continuous (B,T,F), horizon_z (B,T,H) float32; mask (B,T) bool. Padding is at the end, so that
        no real row ever attends to it. With a generator a window inputs may be withheld, targets mirrored.
        """
        size = (len(windows), self.context)
        arrays: dict[str, NDArray[Any]] = {
            "tokens": np.zeros((*size, self._tokens.shape[1]), dtype=np.int64),
            "targets": np.zeros((*size, self._tokens.shape[1]), dtype=np.int64),
            "calendar": np.zeros((*size, self._calendar.shape[1]), dtype=np.int64),
            "continuous": np.zeros((*size, self._continuous.shape[1]), dtype=np.float32),
            "horizon_z": np.full((*size, self._horizon_z.shape[1]), np.nan, dtype=np.float32),
            "tasks": np.full((*size, *self._tasks.shape[1:]), -1, dtype=np.int64),
            "mask": np.zeros(size, dtype=bool),
        }
        arrays["asset"], arrays["category"] = self._identities[windows[:, 0]].T.copy()
        for row, (series, start) in enumerate(windows):
            _, source = self._rows(int(series), int(start))
            n = source.stop - source.start
            following = slice(source.start + 1, source.stop + 1)
            counts = self._counts[source]
            arrays["tokens"][row, :n] = self._tokens[source]
            arrays["targets"][row, :n] = self._tokens[following]
            arrays["calendar"][row, :n] = self._calendar[source]
            arrays["continuous"][row, :n] = self._continuous[source]
            arrays["horizon_z"][row, :n] = np.where(counts[:, None], self._horizon_z[source], np.nan)
            arrays["tasks"][row, :n] = np.where(counts[:, None, None], self._tasks[source], -1)
            arrays["mask"][row, :n] = counts
        if rngs and self._disturb is not None:
            self._disturb(arrays, rngs)
        return {name: torch.from_numpy(array) for name, array in arrays.items()}

    def epoch(
        self,
        batch_size: int,
        *,
        seed: int,
        epoch: int,
        rank: int = 0,
        world_size: int = 1,
        parts: int = 1,
        first_batch: int = 0,
    ) -> Iterator[Batch]:
        """Yield one rank's share of a shuffled epoch.

        Every rank draws the same order and takes every ``world_size``-th window of each global batch. A last
        batch too small is filled up with windows without a candle, so that ranks stay in step. What a window
        holds depends on nothing but the seed, the epoch and its place: not on ranks, nor on what was done
        before. Beside :meth:`batch`, ``target_counts`` (2 + J,) float32 tells how many targets an average
        part of the global batch has.

        Args:
            batch_size: Windows of the global batch.
            seed: The run's seed.
            epoch: From 0.
            rank: This process.
            world_size: Processes; must divide ``batch_size``.
            parts: Micro-batches of a rank's share.
            first_batch: Batches left out in front: those done before.
        """
        order = self.windows(np.random.default_rng([seed, epoch]))
        for first in range(first_batch * batch_size, len(order), batch_size):
            chosen = order[first : first + batch_size]
            counts = self.target_counts(chosen) / (world_size * parts)
            missing = -len(chosen) % (world_size * parts)
            if missing:
                chosen = np.concatenate([chosen, np.tile([[0, -self.context]], (missing, 1))])
            places = range(first + rank, first + len(chosen), world_size)
            mine = self.batch(
                chosen[rank::world_size], [np.random.default_rng([seed, epoch, place]) for place in places]
            )
            yield mine | {"target_counts": torch.from_numpy(counts.astype(np.float32))}

    @property
    def longest(self) -> int:
        """Candles of the longest series."""
        return int(self._lengths.max())

    def windows_per_epoch(self) -> int:
        """Return the windows of the longest epoch (the random phase can add one a series)."""
        most: Counter[str] = Counter()
        for length, category in zip(self._lengths, self._categories, strict=True):
            most[str(category)] += -(-(int(length) - 1 + self.context - 1) // self.context)
        return most.total() if self._sampling is None else self._sampling.size(most)

    def steps_per_epoch(self, batch_size: int) -> int:
        """Return the batches of the longest epoch."""
        return -(-self.windows_per_epoch() // batch_size)


def _running_counts(
    counts: NDArray[np.bool_], horizon_z: NDArray[np.floating[Any]], tasks: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Return the targets before each row, and before the end: (N + 1, 2 + J)."""
    tasks_NJ = (tasks >= 0).sum(axis=1)
    here = np.column_stack(
        [np.ones(len(counts), dtype=np.int64), np.isfinite(horizon_z).sum(axis=1), tasks_NJ]
    )
    here = here * counts[:, None]
    return np.concatenate([np.zeros((1, here.shape[1]), dtype=np.int64), np.cumsum(here, axis=0)])


def _counts(
    time: NDArray[np.datetime64], start: np.datetime64 | None, end: np.datetime64 | None
) -> NDArray[np.bool_]:
    target_time = time[1:]
    counts = np.ones(len(time), dtype=bool)
    counts[-1] = False
    if start is not None:
        counts[:-1] &= target_time >= start
    if end is not None:
        counts[:-1] &= target_time < end
    return counts
