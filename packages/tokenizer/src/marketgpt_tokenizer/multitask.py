"""The multitask tokenizer: the OHLC tokens, and targets at several horizons for a model's further tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, field_validator

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.variance import candle_variance
from marketgpt_tokenizer import ohlc_file
from marketgpt_tokenizer.bins import ChannelBins
from marketgpt_tokenizer.channels import log_channels
from marketgpt_tokenizer.ohlc import OHLCTokenizer
from marketgpt_tokenizer.targets import (
    DIRECTION_CLASSES,
    TARGETS,
    Edges,
    classify,
    fit_edges,
    horizon_values,
)

_Horizon = Annotated[int, Field(ge=1, le=10_000)]


class MultiTaskTokenizer(OHLCTokenizer):
    """Encodes as :class:`OHLCTokenizer`, and gives direction, volatility and range after each candle.

    See :mod:`marketgpt_tokenizer.targets` for what they are. Sizes and horizons follow from the options, so
    that a model can be built before the tokenizer is fitted.

    Args:
        config: Options; None takes the defaults.
    """

    class Config(OHLCTokenizer.Config):
        """Options of the OHLC tokenizer, and those of the targets.

        Attributes:
            horizons: Bars ahead, increasing.
            volatility_bins, range_bins: Classes of equal share in the training part; direction has three.
        """

        horizons: tuple[_Horizon, ...] = Field(default=(1, 5, 10, 21, 42), min_length=1, max_length=64)
        volatility_bins: int = Field(default=8, ge=2, le=4096)
        range_bins: int = Field(default=8, ge=2, le=4096)

        @field_validator("horizons")
        @classmethod
        def _increasing(cls, horizons: tuple[int, ...]) -> tuple[int, ...]:
            if list(horizons) != sorted(set(horizons)):
                raise ValueError("horizons must increase")
            return horizons

    kind: ClassVar[str] = "multitask"
    config: Config

    def __init__(self, config: Config | None = None) -> None:
        super().__init__(config)
        self._edges: Edges | None = None

    @property
    def target_names(self) -> tuple[str, ...]:
        """``("direction", "volatility", "range")``."""
        return TARGETS

    @property
    def target_sizes(self) -> tuple[int, ...]:
        """Classes per task."""
        return (DIRECTION_CLASSES, self.config.volatility_bins, self.config.range_bins)

    @property
    def horizons(self) -> tuple[int, ...]:
        """Bars ahead, increasing."""
        return self.config.horizons

    @property
    def target_edges(self) -> Edges:
        """The fitted edges, one array (H, classes - 1) a task, not decreasing along a row.

        Raises:
            DataError: before it is fitted.
        """
        if self._edges is None:
            raise DataError("the tokenizer is not fitted: use what fit(candles) or load(path) returns")
        return self._edges

    def with_targets(self, edges: Edges) -> Self:
        """Return this tokenizer with other target edges, one array (H, classes - 1) a task."""
        changed = self.restore(self.config, self.bins, self.prior_variance, self.prior_volume_variance)
        changed._edges = edges  # noqa: SLF001 - our own, before anyone else has it
        return changed

    def fit(self, candles: Candles) -> Self:
        """Fit bins, priors and the targets' edges on the training part.

        Raises:
            DataError: without a symbol of two candles, or when none is long enough for a horizon.
        """
        fitted = super().fit(candles)
        values = (fitted.horizon_values(series) for series in candles.values() if len(series) > 1)
        return fitted.with_targets(fit_edges(values, self.horizons, self.target_sizes))

    def refit(self, candles: Candles) -> Self:
        """Return the tokenizer with bins and priors of other candles; the targets' classes stay as they are.

        A model's heads for them keep their meaning so.
        """
        edges = self.target_edges
        return super().fit(candles).with_targets(edges)

    def with_bins(self, bins: tuple[ChannelBins, ...]) -> Self:
        """Return this tokenizer with other bins and the same targets."""
        return super().with_bins(bins).with_targets(self.target_edges)

    def horizon_values(self, series: CandleSeries) -> NDArray[np.float64]:
        """Return the continuous values behind the targets, shape (T - 1, H, 3); NaN beyond the end.

        Raises:
            DataError: for a series of fewer than two candles, or before it is fitted.
        """
        volatility = self.volatility
        if len(series) < 2:  # noqa: PLR2004 - the first candle has no row
            raise DataError(f"{series.symbol}: {len(series)} candles; a target takes at least 2")
        variance = candle_variance(*log_channels(series))
        return horizon_values(series, variance, volatility.scales(variance)[1], self.horizons)

    def horizon_targets(self, series: CandleSeries) -> NDArray[np.int16]:
        """Return classes of shape (T - 1, H, 3), rows as those of :meth:`encode`; -1 beyond the end."""
        edges = self.target_edges
        return classify(self.horizon_values(series), edges)

    def content(self) -> dict[str, Any]:
        """Return all that decides tokens, decoded candles and targets, as JSON values."""
        edges = zip(TARGETS, self.target_edges, strict=True)
        return {**super().content(), "targets": {name: one.tolist() for name, one in edges}}

    def describe(self) -> dict[str, Any]:
        """Return what the OHLC tokenizer returns, and the edges of each task by horizon."""
        described = super().describe()
        targets = zip(TARGETS, self.target_sizes, self.target_edges, strict=True)
        described["targets"] = [
            {
                "name": name,
                "classes": size,
                "horizons": [
                    {"bars": bars, "edges": row}
                    for bars, row in zip(self.horizons, edges.tolist(), strict=True)
                ],
            }
            for name, size, edges in targets
        ]
        return described

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote, trusting nothing in it."""
        parts = ohlc_file.read(Path(path), MultiTaskContent, cls.Config)
        loaded = cls.restore(parts.config, parts.bins, parts.prior_variance, parts.prior_volume_variance)
        edges = []
        for name, size in zip(TARGETS, loaded.target_sizes, strict=True):
            rows = getattr(parts.content.targets, name)
            if len(rows) != len(loaded.horizons) or any(len(row) != size - 1 for row in rows):
                raise DataError(
                    f"{path} is no multitask tokenizer: {name} needs {size - 1} edges for each of "
                    f"{len(loaded.horizons)} horizons"
                )
            one = np.array(rows, dtype=np.float64)
            if (np.diff(one, axis=1) < 0).any():
                raise DataError(f"{path} is no multitask tokenizer: the edges of {name} decrease")
            edges.append(one)
        return loaded.with_targets(tuple(edges))


_Rows = Annotated[
    list[Annotated[list[FiniteFloat], Field(min_length=1, max_length=4096)]],
    Field(min_length=1, max_length=64),
]


class _Targets(ohlc_file.Part):
    direction: _Rows
    volatility: _Rows
    range: _Rows


class MultiTaskContent(ohlc_file.Content):
    """The file of ``multitask``."""

    kind: Literal["multitask"]
    targets: _Targets
