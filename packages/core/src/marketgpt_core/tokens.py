"""Tokens: what a tokenizer hands to a model, and the protocol a model asks of a tokenizer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.files import read_json
from marketgpt_core.symbols import Category

# No tokenizer comes near; what is larger is not read into memory.
MOST_TOKENIZER_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, eq=False)
class TokenSeries:
    """One symbol as tokens, oldest first. Row t stands for one candle and uses candles <= t only.

    The first candle of a series has no predecessor and therefore no row.

    Attributes:
        symbol: Its symbol.
        category: Its market.
        time: shape (T,), datetime64[ns], UTC: the candle's stamp.
        tokens: shape (T, K), int16: one token a channel.
        channels: shape (T, K), float32: the continuous values the tokens were made from, in units of sigma.
        sigma: shape (T,), float64, > 0: scale of candle t, per-bar natural-log return, from candles < t.
        next_sigma: shape (T,), float64, > 0: scale of candle t + 1, from candles <= t.
        slow_sigma: shape (T,), float64, > 0: slow average of sigma from candles <= t (about a year).
        close: shape (T,), float64: close of candle t.
    """

    symbol: str
    category: Category
    time: NDArray[np.datetime64]
    tokens: NDArray[np.int16]
    channels: NDArray[np.float32]
    sigma: NDArray[np.float64]
    next_sigma: NDArray[np.float64]
    slow_sigma: NDArray[np.float64]
    close: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)


@dataclass(frozen=True, eq=False)
class VolatilityState:
    """Where the causal scale of N independent paths stands after their last candle.

    Attributes:
        fast: shape (N,), float64: fast average of the per-bar variance.
        slow: shape (N,), float64: slow average of the same.
        count: shape (N,), int64: candles seen.
        volume: shape (N, J), float64: what the tokenizer keeps of the volume, J and meaning its own; None
            for one that has no volume channel.
    """

    fast: NDArray[np.float64]
    slow: NDArray[np.float64]
    count: NDArray[np.int64]
    volume: NDArray[np.float64] | None = None

    def __len__(self) -> int:
        return len(self.count)

    def rows(self, index: slice | NDArray[np.integer] | NDArray[np.bool_]) -> VolatilityState:
        """Return the chosen paths, in the order of ``index``; numpy's rules of indexing hold."""
        return VolatilityState(
            fast=self.fast[index],
            slow=self.slow[index],
            count=self.count[index],
            volume=None if self.volume is None else self.volume[index],
        )

    def repeat(self, times: int) -> VolatilityState:
        """Return each path ``times`` times: path i becomes rows i*times to (i+1)*times - 1."""
        return self.rows(np.repeat(np.arange(len(self)), times))

    @classmethod
    def concatenated(cls, states: Sequence[VolatilityState]) -> VolatilityState:
        """Return the paths of all states, one after the other.

        Raises:
            DataError: without a state, or when some keep the volume and others do not.
        """
        if not states:
            raise DataError("no volatility states to put together")
        volumes = [state.volume for state in states if state.volume is not None]
        if len(volumes) not in {0, len(states)}:
            raise DataError(
                f"{len(volumes)} of {len(states)} volatility states keep the volume: they come from "
                "different tokenizers"
            )
        return cls(
            fast=np.concatenate([state.fast for state in states]),
            slow=np.concatenate([state.slow for state in states]),
            count=np.concatenate([state.count for state in states]),
            volume=np.concatenate(volumes) if volumes else None,
        )


@runtime_checkable
class Tokenizer(Protocol):
    """What models and training ask of a tokenizer; implementations come through the registry."""

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Names of the K channels, in the order a candle is drawn."""
        ...

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """Tokens per channel."""
        ...

    def fit(self, candles: Candles) -> Tokenizer:
        """Learn bins from the training part only, and return the fitted tokenizer."""
        ...

    def encode(self, series: CandleSeries) -> TokenSeries:
        """Encode one symbol; row t uses candles <= t only."""
        ...

    def decode(
        self, tokens: NDArray[np.integer], sigma: NDArray[np.float64], close: float
    ) -> dict[str, NDArray[np.float64]]:
        """Decode (T, K) tokens to legal open, high, low, close of shape (T,), after the last ``close``."""
        ...

    def values(
        self, tokens: NDArray[np.integer], u: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return channel values, shape (..., K), in units of sigma.

        ``u`` in [0, 1), same shape, draws from the law inside each bin; None takes its median.
        """
        ...

    def begin(self, series: CandleSeries) -> VolatilityState:
        """Return the state of one path (N = 1) after the last candle of the series."""
        ...

    def begin_at(self, series: CandleSeries, ends: NDArray[np.integer]) -> VolatilityState:
        """Return the states of N paths, each after the first ``ends[n]`` candles of the series, >= 1."""
        ...

    def sigma(self, state: VolatilityState) -> NDArray[np.float64]:
        """Return the scale of each path's next candle, shape (N,), > 0."""
        ...

    def slow_sigma(self, state: VolatilityState) -> NDArray[np.float64]:
        """Return the slow scale of each path, shape (N,), > 0."""
        ...

    def advance(self, state: VolatilityState, values: NDArray[np.float64]) -> VolatilityState:
        """Return the state after one more candle a path; ``values`` (N, K) as :meth:`values` gives."""
        ...

    def fingerprint(self) -> str:
        """Return the hex sha256 of everything that decides tokens: a checkpoint records it."""
        ...

    def save(self, path: Path) -> None:
        """Write ``tokenizer.json``-style JSON with the registry's name of the class in ``kind``."""
        ...

    @classmethod
    def load(cls, path: Path) -> Tokenizer:
        """Read what :meth:`save` wrote."""
        ...


@runtime_checkable
class TargetTokenizer(Tokenizer, Protocol):
    """A tokenizer that also gives classified targets at several horizons, for a multitask model.

    Ask ``isinstance`` of a fitted one: up to Python 3.11 it reads the properties, and an unfitted tokenizer
    refuses to tell its vocabulary.

    Legend: T candles, H horizons, J tasks.
    """

    @property
    def target_names(self) -> tuple[str, ...]:
        """Names of the J tasks."""
        ...

    @property
    def target_sizes(self) -> tuple[int, ...]:
        """Classes per task, known before it is fitted; a target lies in ``0 .. size - 1``."""
        ...

    @property
    def horizons(self) -> tuple[int, ...]:
        """The H horizons in bars, increasing."""
        ...

    def horizon_targets(self, series: CandleSeries) -> NDArray[np.int16]:
        """Return targets of shape (T - 1, H, J); row t goes with row t of :meth:`encode`.

        It speaks of the candles after that row's, up to h of them: the only thing here that looks ahead,
        never an input. -1 where the series ends before.

        Raises:
            DataError: for a series of fewer than two candles, or before it is fitted.
        """
        ...


def load_tokenizer(path: Path) -> Tokenizer:
    """Load any registered tokenizer: its file names its kind.

    Raises:
        DataError: when the file cannot be read, is no regular file or larger than any tokenizer.
        PluginError: when no installed plugin provides that kind.
    """
    from marketgpt_core.plugins import registry

    content = read_tokenizer_json(path)
    kind = content.get("kind") if isinstance(content, dict) else None
    if not isinstance(kind, str):
        raise DataError(f"{path} is not a tokenizer: it names no 'kind'")
    loaded = registry("tokenizer").load(kind)
    tokenizer: Tokenizer = loaded.load(path)
    return tokenizer


def read_tokenizer_json(path: Path) -> object:
    """Read a tokenizer's JSON without trusting its size or that it is a file at all.

    Raises:
        DataError: when it is missing, no regular file, too large or not JSON; the message names it.
    """
    path = Path(path)
    try:
        # A pipe or a device would be read for ever.
        if path.exists() and not path.is_file():
            raise DataError(f"{path} is no tokenizer: it is not a regular file")
        if path.stat().st_size > MOST_TOKENIZER_BYTES:
            raise DataError(f"{path} is no tokenizer: it has more than {MOST_TOKENIZER_BYTES} bytes")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error
    return read_json(path)
