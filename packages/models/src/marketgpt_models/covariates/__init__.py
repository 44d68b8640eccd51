"""What a model is told beside a symbol's own candles, as further continuous inputs.

A group says something of candle t that was known when it had ended (a past covariate), and what of it is
known of candles not yet there (a future covariate, else zeros, as where nothing is known at all).

Legend: T rows of a series, N rows to forecast from, L steps ahead, E columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError, hint
from marketgpt_core.tokens import TokenSeries


class CovariateGroup(Protocol):
    """A module that makes one group."""

    #: Names of its columns.
    NAMES: tuple[str, ...]
    #: Whether it is known of candles not yet there.
    KNOWN_AHEAD: bool

    def of(self, candles: Candles, encoded: Mapping[str, TokenSeries]) -> dict[str, NDArray[np.float32]]:
        """Return the columns of every encoded symbol, (T, E); row t was known at its candle's end."""
        ...

    def ahead(
        self, candles: Candles, series: TokenSeries, rows: NDArray[np.int64], stamps: NDArray[np.datetime64]
    ) -> NDArray[np.float32]:
        """Return the columns (N, L, E) that go with generated candles; only asked where they are known ahead.

        Args:
            candles: As for :meth:`of`.
            series: One symbol.
            rows: shape (N,): its last known rows.
            stamps: shape (N, L), by rule: of the candle after each generated one.
        """
        ...


_MODULES = {
    "volatility": "marketgpt_models.covariates.volatility",
    "market": "marketgpt_models.covariates.market",
    "recurrence": "marketgpt_models.covariates.recurrence",
    "volume": "marketgpt_models.covariates.volume",
}


def covariate_groups() -> tuple[str, ...]:
    """Return the names of all groups."""
    return tuple(_MODULES)


def _group(name: str) -> CovariateGroup:
    if name not in _MODULES:
        raise ConfigError(f"unknown covariates {name!r}; {hint(name, list(_MODULES))}")
    group: CovariateGroup = resolve_name(_MODULES[name])
    return group


@dataclass(frozen=True)
class Covariates:
    """Some groups side by side, in the order given.

    Attributes:
        groups: Their names.
    """

    groups: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the E columns.

        Raises:
            ConfigError: for a group that does not exist.
        """
        return tuple(f"{name}.{column}" for name in self.groups for column in _group(name).NAMES)

    @property
    def unknown_ahead(self) -> NDArray[np.bool_]:
        """Return which columns say nothing of candles not yet there, shape (E,)."""
        flags = [not _group(name).KNOWN_AHEAD for name in self.groups for _ in _group(name).NAMES]
        return np.array(flags, dtype=bool)

    def columns(self, group: str) -> NDArray[np.bool_]:
        """Return which columns are a group's, shape (E,)."""
        return np.array([name == group for name in self.groups for _ in _group(name).NAMES], dtype=bool)

    def of(self, candles: Candles, encoded: Mapping[str, TokenSeries]) -> dict[str, NDArray[np.float32]]:
        """Return the columns of every encoded symbol, (T, E) float32; row t was known at its candle's end.

        Args:
            candles: All that is known of the markets; more symbols say more of the state they are in.
            encoded: Symbols of them, each with all its candles.
        """
        parts = [_group(name).of(candles, encoded) for name in self.groups]
        return {
            symbol: _side_by_side([part[symbol] for part in parts], len(one))
            for symbol, one in encoded.items()
        }

    def ahead(
        self, candles: Candles, series: TokenSeries, rows: NDArray[np.int64], stamps: NDArray[np.datetime64]
    ) -> NDArray[np.float32]:
        """Return the columns (N, L, E) of generated candles; see :meth:`CovariateGroup.ahead`."""
        parts = []
        for name in self.groups:
            group = _group(name)
            if group.KNOWN_AHEAD:
                parts.append(group.ahead(candles, series, rows, stamps))
            else:
                parts.append(np.zeros((*stamps.shape, len(group.NAMES)), dtype=np.float32))
        return np.concatenate(parts, axis=-1) if parts else np.zeros((*stamps.shape, 0), dtype=np.float32)


def _side_by_side(parts: Sequence[NDArray[np.float32]], rows: int) -> NDArray[np.float32]:
    return np.concatenate(parts, axis=1) if parts else np.zeros((rows, 0), dtype=np.float32)
