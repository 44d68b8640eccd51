"""The contract of a tokenizer: an ABC that satisfies :class:`marketgpt_core.tokens.Tokenizer`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.config import Config as CoreConfig
from marketgpt_core.tokens import TokenSeries, VolatilityState


class Tokenizer(ABC):
    """Turns the candles of one symbol into K tokens a candle, and tokens into legal candles.

    An instance never changes: :meth:`fit` returns a fitted one.

    Args:
        config: Options; None takes the defaults.
    """

    class Config(CoreConfig):
        """Options; a subclass declares its own."""

    #: Name in the registry, and ``kind`` in the file :meth:`save` writes.
    kind: ClassVar[str]

    @abstractmethod
    def __init__(self, config: Any = None) -> None: ...  # noqa: ANN401 - each class has its own Config

    @property
    @abstractmethod
    def channel_names(self) -> tuple[str, ...]:
        """Names of the K channels, in the order a candle is drawn."""

    @property
    @abstractmethod
    def vocab_sizes(self) -> tuple[int, ...]:
        """Tokens per channel; a token lies in ``0 .. size - 1``.

        Raises:
            DataError: before it is fitted, as every method below but :meth:`fit` and :meth:`load`.
        """

    @abstractmethod
    def fit(self, candles: Candles) -> Self:
        """Learn from the training part only, and return the fitted tokenizer.

        Raises:
            DataError: without a symbol of two candles.
        """

    @abstractmethod
    def encode(self, series: CandleSeries) -> TokenSeries:
        """Encode one symbol: T candles give T - 1 rows; the row of candle t uses candles <= t only.

        Raises:
            DataError: for a series of fewer than two candles.
        """

    @abstractmethod
    def decode(
        self, tokens: NDArray[np.integer], sigma: NDArray[np.float64], close: float
    ) -> dict[str, NDArray[np.float64]]:
        """Decode successive candles, each after the close of the one before.

        Args:
            tokens: shape (T, K).
            sigma: shape (T,), > 0: the scale of each candle, per-bar log return.
            close: Close before the first candle, > 0.

        Returns:
            ``open``, ``high``, ``low``, ``close``, each of shape (T,): always legal candles.

        Raises:
            DataError: for tokens outside the vocabulary or shapes that do not fit.
        """

    @abstractmethod
    def values(
        self, tokens: NDArray[np.integer], u: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return channel values, shape (..., K), float64, in units of sigma.

        Args:
            tokens: shape (..., K).
            u: same shape, in [0, 1): where in the law inside each bin; None takes its median.

        Raises:
            DataError: for tokens outside the vocabulary.
        """

    @abstractmethod
    def begin(self, series: CandleSeries) -> VolatilityState:
        """Return the state of one path (N = 1) after the last candle of the series."""

    def begin_at(self, series: CandleSeries, ends: NDArray[np.integer]) -> VolatilityState:
        """Return the states of N paths, each after the first ``ends[n]`` candles of the series, >= 1."""
        return VolatilityState.concatenated([self.begin(series[: int(end)]) for end in ends])

    @abstractmethod
    def sigma(self, state: VolatilityState) -> NDArray[np.float64]:
        """Return the scale of each path's next candle, shape (N,), > 0."""

    @abstractmethod
    def slow_sigma(self, state: VolatilityState) -> NDArray[np.float64]:
        """Return the slow scale of each path, shape (N,), > 0."""

    @abstractmethod
    def advance(self, state: VolatilityState, values: NDArray[np.float64]) -> VolatilityState:
        """Return the state after one more candle a path; ``values`` (N, K) as :meth:`values` gives."""

    @abstractmethod
    def fingerprint(self) -> str:
        """Return the hex sha256 of everything that decides tokens and decoded candles."""

    @abstractmethod
    def save(self, path: Path) -> None:
        """Write a JSON file that names :attr:`kind`; arrays may lie beside it as safetensors; no pickle.

        Raises:
            RunError: when it cannot be written.
        """

    @classmethod
    @abstractmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote, trusting nothing in it.

        Raises:
            DataError: one line that says what is wrong with the file.
        """

    def describe(self) -> dict[str, Any]:
        """Return what a person wants to know of it, as JSON values."""
        return {
            "kind": self.kind,
            "fingerprint": self.fingerprint(),
            "channels": [
                {"name": name, "vocabulary": size}
                for name, size in zip(self.channel_names, self.vocab_sizes, strict=True)
            ],
        }
