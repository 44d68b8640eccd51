"""Which windows of an epoch are trained on, where that is not simply all of them once."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


class Sampling(ABC):
    """Chooses among an epoch's windows by their categories; the order does not matter, it is shuffled."""

    @abstractmethod
    def choose(self, categories: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the rows chosen, some of them more than once.

        Args:
            categories: Of every window, shape (W,).
            rng: Decides.
        """

    @abstractmethod
    def size(self, counts: Mapping[str, int]) -> int:
        """Return how many windows are chosen of so many a category."""


@dataclass(frozen=True)
class Balanced(Sampling):
    """As many windows as there are, shared out among categories.

    A category of n windows gets a share in proportion to n ** (1 - balance): small ones come again, of large
    ones some wait for another epoch.

    Attributes:
        balance: 0: in proportion; 1: as many for each.
    """

    balance: float

    def choose(self, categories: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.int64]:
        """See :class:`Sampling`."""
        names, counts = np.unique(categories, return_counts=True)
        shares = counts ** (1.0 - self.balance)
        wanted = np.maximum(np.floor(len(categories) * shares / shares.sum()).astype(np.int64), 1)
        # Whole rounds over a category, each in an order of its own, then a part of one.
        chosen = [
            np.concatenate(
                [rng.permutation(np.flatnonzero(categories == name)) for _ in range(-(-want // count))]
            )[:want]
            for name, want, count in zip(names, wanted, counts, strict=True)
        ]
        return np.concatenate(chosen)

    def size(self, counts: Mapping[str, int]) -> int:
        """See :class:`Sampling`; a category may get one window more than its share."""
        return sum(counts.values())


@dataclass(frozen=True)
class Replayed(Sampling):
    """All windows of one market, and beside them some of the others, so that those are not forgotten.

    Rolnick et al., "Experience replay for continual learning", 2019. The others are drawn anew each epoch.

    Attributes:
        market: The category.
        share: Of the epoch's windows that are others, 0 to below 1.
    """

    market: str
    share: float

    def choose(self, categories: NDArray[np.str_], rng: np.random.Generator) -> NDArray[np.int64]:
        """See :class:`Sampling`."""
        own = np.flatnonzero(categories == self.market)
        others = np.flatnonzero(categories != self.market)
        wanted = self._replayed(len(own), len(others))
        return np.concatenate([own, rng.choice(others, wanted, replace=False)]) if wanted else own

    def size(self, counts: Mapping[str, int]) -> int:
        """See :class:`Sampling`."""
        own = counts.get(self.market, 0)
        return own + self._replayed(own, sum(counts.values()) - own)

    def _replayed(self, own: int, others: int) -> int:
        return min(int(own * self.share / (1.0 - self.share)), others)
