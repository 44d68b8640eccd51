"""The OHLC tokenizer: four tokens a candle, in units of a causal volatility.

Shapes: T candles of a series, N paths, K = 4 channels (gap, body, up, low).
"""

from __future__ import annotations

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.files import write_text
from marketgpt_core.tokens import TokenSeries, VolatilityState
from marketgpt_tokenizer.base import Tokenizer
from marketgpt_tokenizer.bins import NUM_KNOTS, ChannelBins
from marketgpt_tokenizer.channels import CHANNELS, candles_of, log_channels
from marketgpt_tokenizer.volatility import CausalVolatility, candle_variance


class OHLCTokenizer(Tokenizer):
    """Gap, body and both wicks of each candle, over a causal sigma, as quantile bins.

    The volume is not tokenized. Fit it on the training part only; the fitted bins belong to the model that
    was trained on their tokens.

    Args:
        config: Options; None takes the defaults.
    """

    class Config(Tokenizer.Config):
        """Options of the OHLC tokenizer.

        Attributes:
            gap_bins, body_bins, up_bins, low_bins: Quantile bins of each channel; the atom at zero and the
                tail cuts come on top, few or equal training values give fewer.
            tail_masses: The outermost bins are cut again where this share of the values lies beyond.
            clip: Values are cut to +- this many sigma before anything else.
            fast_half_life_bars, slow_half_life_bars: Half-lives of the averages behind sigma, slow_sigma.
            warmup_bars: Candles until the prior variance has no weight left.
            sigma_floor, sigma_ceiling: Sigma stays between them, log return per bar.
        """

        gap_bins: int = Field(default=64, ge=2, le=4096)
        body_bins: int = Field(default=64, ge=2, le=4096)
        up_bins: int = Field(default=32, ge=1, le=4096)
        low_bins: int = Field(default=32, ge=1, le=4096)
        tail_masses: tuple[Annotated[float, Field(gt=0.0, lt=0.5)], ...] = Field(
            default=(0.01, 0.003, 0.001), max_length=16
        )
        clip: float = Field(default=20.0, ge=1.0, le=1000.0)
        fast_half_life_bars: float = Field(default=20.0, gt=0.0, le=1e6)
        slow_half_life_bars: float = Field(default=250.0, gt=0.0, le=1e6)
        warmup_bars: int = Field(default=60, ge=1, le=1_000_000)
        # Below 1e-6 the last bit of a price could move a decoded value into the next bin.
        sigma_floor: float = Field(default=1e-5, ge=1e-6, le=0.1)
        sigma_ceiling: float = Field(default=1.0, ge=0.2, le=10.0)

    kind: ClassVar[str] = "ohlc"

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or self.Config()
        self._bins: tuple[ChannelBins, ...] | None = None
        self._prior_variance = 0.0

    @classmethod
    def restore(cls, config: Config, bins: tuple[ChannelBins, ...], prior_variance: float) -> Self:
        """Return a fitted tokenizer made of its parts, one :class:`ChannelBins` a channel."""
        fitted = cls(config)
        fitted._bins = bins
        fitted._prior_variance = prior_variance
        return fitted

    @property
    def bins(self) -> tuple[ChannelBins, ...]:
        """The fitted bins, by channel.

        Raises:
            DataError: before it is fitted.
        """
        return self._require_fit()

    def _require_fit(self) -> tuple[ChannelBins, ...]:
        if self._bins is None:
            raise DataError("the tokenizer is not fitted: use what fit(candles) or load(path) returns")
        return self._bins

    @property
    def prior_variance(self) -> float:
        """Variance per bar of a symbol without history; 0 before it is fitted."""
        return self._prior_variance

    @property
    def channel_names(self) -> tuple[str, ...]:
        """``("gap", "body", "up", "low")``."""
        return CHANNELS

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """Tokens per channel."""
        return tuple(len(bins) for bins in self.bins)

    @cached_property
    def volatility(self) -> CausalVolatility:
        """The causal scale with its fitted prior."""
        self._require_fit()
        return self._causal(self._prior_variance)

    def _causal(self, prior_variance: float) -> CausalVolatility:
        config = self.config
        return CausalVolatility(
            prior_variance=prior_variance,
            fast_half_life_bars=config.fast_half_life_bars,
            slow_half_life_bars=config.slow_half_life_bars,
            warmup_bars=config.warmup_bars,
            sigma_floor=config.sigma_floor,
            sigma_ceiling=config.sigma_ceiling,
        )

    def fit(self, candles: Candles) -> Self:
        """Fit the prior variance and the bins, all symbols weighing by their candles.

        The prior is the median over symbols of their mean candle variance.
        """
        logs = [log_channels(series) for series in candles.values() if len(series) > 1]
        if not logs:
            raise DataError("a tokenizer is fitted on at least one symbol of two candles; there is none")
        variances = [candle_variance(*log) for log in logs]
        prior = float(np.median([variance.mean() for variance in variances]))
        volatility = self._causal(prior)
        scaled = [
            self._scaled(log, volatility.scales(variance)[0])
            for log, variance in zip(logs, variances, strict=True)
        ]
        config = self.config
        sizes = (config.gap_bins, config.body_bins, config.up_bins, config.low_bins)
        bins = tuple(
            ChannelBins.fit(
                np.concatenate([one[channel] for one in scaled]),
                num_bins=size,
                tail_masses=config.tail_masses,
            )
            for channel, size in enumerate(sizes)
        )
        return self.restore(config, bins, prior)

    def _scaled(self, logs: NDArray[np.float64], sigma: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(logs / sigma, -self.config.clip, self.config.clip)

    def encode(self, series: CandleSeries) -> TokenSeries:
        """Encode one symbol: T candles give T - 1 rows; the row of candle t uses candles <= t only."""
        bins = self.bins
        if len(series) < 2:  # noqa: PLR2004 - a gap needs a predecessor
            raise DataError(f"{series.symbol}: {len(series)} candles; to encode it takes at least 2")
        logs = log_channels(series)
        sigma, next_sigma, slow_sigma = self.volatility.scales(candle_variance(*logs))
        values = self._scaled(logs, sigma)
        tokens = np.empty((len(sigma), len(bins)), dtype=np.int16)
        for channel, one in enumerate(bins):
            tokens[:, channel] = one.encode(values[channel])
        return TokenSeries(
            symbol=series.symbol,
            category=series.category,
            time=series.time[1:],
            tokens=tokens,
            channels=np.ascontiguousarray(values.T, dtype=np.float32),
            sigma=sigma,
            next_sigma=next_sigma,
            slow_sigma=slow_sigma,
            close=series.close[1:],
        )

    def decode(
        self, tokens: NDArray[np.integer], sigma: NDArray[np.float64], close: float
    ) -> dict[str, NDArray[np.float64]]:
        """Decode successive candles from the median of each bin; see the base class."""
        tokens, sigma = np.asarray(tokens), np.asarray(sigma, dtype=np.float64)
        if tokens.ndim != 2 or sigma.shape != tokens.shape[:1]:  # noqa: PLR2004 - (T, K)
            raise DataError(f"decode takes tokens (T, 4) and sigma (T,), got {tokens.shape}, {sigma.shape}")
        if not (np.isfinite(sigma) & (sigma > 0)).all() or not (np.isfinite(close) and close > 0):
            raise DataError("decode takes a finite sigma > 0 and a finite close > 0")
        return candles_of(self.values(tokens).T * sigma, float(close))

    @cached_property
    def _knots(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """All knots in one row, and where each channel's begin."""
        starts = np.cumsum([0, *(bins.knots.size for bins in self.bins)])[:-1]
        return np.concatenate([bins.knots.ravel() for bins in self.bins]), starts

    def values(
        self, tokens: NDArray[np.integer], u: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return channel values in sigma, linear between the knots of each token's bin."""
        tokens = np.asarray(tokens)
        sizes = np.array(self.vocab_sizes)
        if tokens.shape[-1:] != sizes.shape:
            raise DataError(f"tokens must have shape (..., {len(sizes)}), got {tokens.shape}")
        if ((tokens < 0) | (tokens >= sizes)).any():
            raise DataError(f"a token is outside the vocabulary, whose sizes are {self.vocab_sizes}")
        knots, starts = self._knots
        first = starts + tokens.astype(np.int64) * NUM_KNOTS
        if u is None:
            return np.asarray(knots[first + NUM_KNOTS // 2])
        position = np.clip(u, 0.0, 1.0) * (NUM_KNOTS - 1)
        step = np.minimum(position.astype(np.int64), NUM_KNOTS - 2)
        low, high = knots[first + step], knots[first + step + 1]
        return np.asarray(low + (position - step) * (high - low))

    def begin(self, series: CandleSeries) -> VolatilityState:
        """Return the state of one path after the last candle of the series."""
        if not len(series):
            raise DataError(f"{series.symbol}: no candles to begin a path after")
        return self.volatility.begin(candle_variance(*log_channels(series)))

    def sigma(self, state: VolatilityState) -> NDArray[np.float64]:
        """Return the scale of each path's next candle, shape (N,)."""
        return self.volatility.scale(state.fast, state.count)

    def slow_sigma(self, state: VolatilityState) -> NDArray[np.float64]:
        """Return the slow scale of each path, shape (N,)."""
        return self.volatility.scale(state.slow, state.count)

    def advance(self, state: VolatilityState, values: NDArray[np.float64]) -> VolatilityState:
        """Return the state after one more candle a path, of channel values (N, 4) in sigma."""
        logs = np.asarray(values, dtype=np.float64).T * self.sigma(state)
        return self.volatility.advance(state, candle_variance(*logs))

    def _content(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "format": 1,
            "config": self.config.model_dump(mode="json"),
            "prior_variance": self._prior_variance,
            "channels": {
                name: {
                    "edges": one.edges.tolist(),
                    "knots": one.knots.tolist(),
                    "mass": one.mass.tolist(),
                }
                for name, one in zip(CHANNELS, self.bins, strict=True)
            },
        }

    def describe(self) -> dict[str, Any]:
        """Return kind, fingerprint, prior and every bin: ends (None: no end), median and mass."""
        described = super().describe()
        for channel, bins in zip(described["channels"], self.bins, strict=True):
            ends = [None, *bins.edges.tolist(), None]
            channel["bins"] = [
                {"token": k, "from": ends[k], "to": ends[k + 1], "median": median, "mass": mass}
                for k, (median, mass) in enumerate(
                    zip(bins.knots[:, NUM_KNOTS // 2].tolist(), bins.mass.tolist(), strict=True)
                )
            ]
        return {"prior_sigma": self._prior_variance**0.5, **described}

    def fingerprint(self) -> str:
        """Return the hex sha256 of the file's content in canonical JSON."""
        text = json.dumps(self._content(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def save(self, path: Path) -> None:
        """Write one JSON file; floats are exact."""
        write_text(path, json.dumps(self._content(), allow_nan=False) + "\n")

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote, trusting nothing in it."""
        from marketgpt_tokenizer.ohlc_file import read_parts

        return cls.restore(*read_parts(path))
