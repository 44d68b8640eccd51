"""The OHLC tokenizer: four tokens a candle, in units of a causal volatility; the volume's if wanted.

Shapes: T candles of a series, N paths, K channels: gap, body, up, low, and volume where ``volume_bins`` > 0.
"""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.tokens import TokenSeries, VolatilityState
from marketgpt_core.variance import candle_variance
from marketgpt_tokenizer import ohlc_file
from marketgpt_tokenizer.base import Tokenizer
from marketgpt_tokenizer.bins import NUM_KNOTS, BinLaws, ChannelBins
from marketgpt_tokenizer.channels import CHANNELS, candles_of, log_channels
from marketgpt_tokenizer.ohlc_config import OHLCConfig
from marketgpt_tokenizer.streaming import EncodingState, begin_stream, encode_next
from marketgpt_tokenizer.volatility import CausalVolatility
from marketgpt_tokenizer.volume import VOLUME, CausalVolume, log_surprises


class OHLCTokenizer(Tokenizer):
    """Gap, body and both wicks of each candle, over a causal sigma, as quantile bins.

    Fit it on the training part only; the fitted bins belong to the model that was trained on their tokens.
    With ``volume_bins`` a last channel says how surprising the log volume is; see
    :mod:`marketgpt_tokenizer.volume`.

    Args:
        config: Options; None takes the defaults.
    """

    class Config(OHLCConfig):
        """Options; see :class:`~marketgpt_tokenizer.ohlc_config.OHLCConfig`."""

    kind: ClassVar[str] = "ohlc"

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or self.Config()
        self._bins: tuple[ChannelBins, ...] | None = None
        self._prior_variance = self._prior_volume_variance = 0.0

    @classmethod
    def restore(
        cls,
        config: Any,  # noqa: ANN401 - each class has its own Config
        bins: tuple[ChannelBins, ...],
        prior_variance: float,
        prior_volume_variance: float = 0.0,
    ) -> Self:
        """Return a fitted tokenizer made of its parts, one :class:`ChannelBins` a channel."""
        fitted = cls(config)
        fitted._bins = bins
        fitted._prior_variance = prior_variance
        fitted._prior_volume_variance = prior_volume_variance
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
    def prior_volume_variance(self) -> float:
        """Mean squared surprise of the log volume of a symbol without history; 0 without the channel."""
        return self._prior_volume_variance

    @property
    def channel_names(self) -> tuple[str, ...]:
        """``("gap", "body", "up", "low")``, and ``"volume"`` where ``volume_bins`` > 0."""
        return (*CHANNELS, VOLUME) if self.config.volume_bins else CHANNELS

    @property
    def vocab_sizes(self) -> tuple[int, ...]:
        """Tokens per channel."""
        return tuple(len(bins) for bins in self.bins)

    @cached_property
    def volatility(self) -> CausalVolatility:
        """The causal scale with its fitted prior."""
        self._require_fit()
        return self.config.volatility(self._prior_variance)

    @cached_property
    def volume(self) -> CausalVolume | None:
        """The causal surprise of the volume with its fitted prior; None without the channel."""
        self._require_fit()
        return self.config.volume(self._prior_volume_variance)

    def fit(self, candles: Candles) -> Self:
        """Fit the priors and the bins, all symbols weighing by their candles.

        The priors are medians over symbols: of their mean candle variance, and of the mean squared surprise
        of their log volume.
        """
        series = [one for one in candles.values() if len(one) > 1]
        if not series:
            raise DataError("a tokenizer is fitted on at least one symbol of two candles; there is none")
        logs = [log_channels(one) for one in series]
        variances = [candle_variance(*log) for log in logs]
        prior = float(np.median([variance.mean() for variance in variances]))
        prior_volume = self._fit_prior_volume(series)
        volatility, volume = self.config.volatility(prior), self.config.volume(prior_volume)
        scaled = [
            self._scaled(log, volatility.scales(variance)[0], one.volume, volume)
            for one, log, variance in zip(series, logs, variances, strict=True)
        ]
        config = self.config
        sizes = (config.gap_bins, config.body_bins, config.up_bins, config.low_bins, config.volume_bins)
        bins = tuple(
            ChannelBins.fit(
                np.concatenate([one[channel] for one in scaled]),
                num_bins=size,
                tail_masses=config.tail_masses,
            )
            for channel, size in enumerate(sizes[: len(self.channel_names)])
        )
        return self.restore(config, bins, prior, prior_volume)

    def refit(self, candles: Candles) -> Self:
        """Return the tokenizer with bins and priors of other candles.

        Its tokens are new words: :mod:`marketgpt_tokenizer.remap` says what they are in the old ones.
        """
        self._require_fit()
        return self.fit(candles)

    def with_bins(self, bins: tuple[ChannelBins, ...]) -> Self:
        """Return this tokenizer with other bins, one :class:`ChannelBins` a channel."""
        return self.restore(self.config, bins, self._prior_variance, self._prior_volume_variance)

    def _fit_prior_volume(self, series: list[CandleSeries]) -> float:
        if not self.config.volume_bins:
            return 0.0
        surprises = [log_surprises(one.volume, self.config.volume_level_half_life_bars) for one in series]
        means = [float(np.mean(one**2)) for one in surprises if len(one)]
        return float(np.median(means)) if means else 0.0

    def _scaled(
        self,
        logs: NDArray[np.float64],
        sigma: NDArray[np.float64],
        volume: NDArray[np.float64],
        causal: CausalVolume | None,
    ) -> NDArray[np.float64]:
        """Return channel values (K, T - 1), clipped, from log channels (4, T - 1) and volumes (T,)."""
        values = logs / sigma
        if causal is not None:
            values = np.concatenate([values, causal.values(volume)[None, 1:]])
        return np.clip(values, -self.config.clip, self.config.clip, out=values)

    def encode(self, series: CandleSeries) -> TokenSeries:
        """Encode one symbol: T candles give T - 1 rows; the row of candle t uses candles <= t only."""
        self._require_fit()
        if len(series) < 2:  # noqa: PLR2004 - a gap needs a predecessor
            raise DataError(f"{series.symbol}: {len(series)} candles; to encode it takes at least 2")
        logs = log_channels(series)
        scales = self.volatility.scales(candle_variance(*logs))
        values = self._scaled(logs, scales[0], series.volume, self.volume)
        return self.rows_of(series[1:], values, scales)

    def rows_of(
        self,
        candles: CandleSeries,
        values: NDArray[np.float64],
        scales: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    ) -> TokenSeries:
        """Return the rows of T candles from channel values (K, T), and sigma, next and slow sigma (T,)."""
        tokens = np.empty((len(candles), len(values)), dtype=np.int16)
        for channel, one in enumerate(self.bins):
            tokens[:, channel] = one.encode(values[channel])
        sigma, next_sigma, slow_sigma = scales
        return TokenSeries(
            symbol=candles.symbol,
            category=candles.category,
            time=candles.time,
            tokens=tokens,
            channels=np.ascontiguousarray(values.T, dtype=np.float32),
            sigma=sigma,
            next_sigma=next_sigma,
            slow_sigma=slow_sigma,
            close=candles.close,
        )

    def begin_stream(self, series: CandleSeries) -> EncodingState:
        """Return where encoding stands after the series (one candle or more): what a live feed goes on from.

        Raises:
            DataError: without a candle, or before it is fitted.
        """
        return begin_stream(self, series)

    def encode_next(self, state: EncodingState, candles: CandleSeries) -> tuple[TokenSeries, EncodingState]:
        """Encode new candles, mostly one, in time that does not grow with the history.

        The rows are to the last bit those that :meth:`encode` gives of the whole series (on x86-64; where a
        compiler fuses multiplications and additions they may differ by 1e-12).

        Args:
            state: From :meth:`begin_stream` or the call before; it stays valid, so a candle that is still
                forming can be encoded again and again.
            candles: One or more later candles of the same symbol; checked like all candles.

        Returns:
            One row a new candle, and the state after them.

        Raises:
            DataError: for another symbol or interval, candles that are not later, or impossible ones.
        """
        return encode_next(self, state, candles)

    def decode(
        self,
        tokens: NDArray[np.integer],
        sigma: NDArray[np.float64],
        close: float | NDArray[np.float64],
        state: VolatilityState | None = None,
    ) -> dict[str, NDArray[np.float64]]:
        """Decode successive candles from the median of each bin; see the base class.

        Args:
            tokens: shape (T, K), or (N, T, K) for N independent paths.
            sigma: shape (T,) or (N, T), > 0.
            close: Close before the first candle, > 0; (N,) or one for all paths.
            state: The paths before the first candle. With it a tokenizer with a volume channel gives
                ``volume``, too: a surprise becomes a volume only beside the level it is compared with.

        Returns:
            ``open``, ``high``, ``low``, ``close`` (and ``volume``) of the shape of ``sigma``.
        """
        tokens, sigma = np.asarray(tokens), np.asarray(sigma, dtype=np.float64)
        if tokens.ndim not in {2, 3} or sigma.shape != tokens.shape[:-1]:
            raise DataError(
                f"decode takes tokens (T, {len(self.channel_names)}) and sigma (T,), or both with a leading "
                f"N, got {tokens.shape}, {sigma.shape}"
            )
        close = np.asarray(close, dtype=np.float64)
        if close.shape not in {(), sigma.shape[:-1]}:
            raise DataError(f"decode takes one close or one for each path, got {close.shape}")
        if not (np.isfinite(sigma) & (sigma > 0)).all() or not (np.isfinite(close) & (close > 0)).all():
            raise DataError("decode takes a finite sigma > 0 and a finite close > 0")
        values = np.moveaxis(self.values(tokens), -1, 0)
        decoded = candles_of(values[: len(CHANNELS)] * sigma, close)
        if state is not None and self.volume is not None:
            volume = self.volume.decode(_volume_of(state), np.atleast_2d(values[-1]))
            decoded["volume"] = volume.reshape(sigma.shape)
        return decoded

    @cached_property
    def _laws(self) -> BinLaws:
        return BinLaws(self.bins)

    def values(
        self, tokens: NDArray[np.integer], u: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Return channel values in sigma, linear between the knots of each token's bin."""
        return self._laws.values(tokens, u)

    def begin(self, series: CandleSeries) -> VolatilityState:
        """Return the state of one path after the last candle of the series."""
        return self.begin_at(series, np.array([len(series)]))

    def begin_at(self, series: CandleSeries, ends: NDArray[np.integer]) -> VolatilityState:
        """Return the states of N paths, each after the first ``ends[n]`` candles of the series."""
        if not np.all(ends > 0):
            raise DataError(f"{series.symbol}: no candles to begin a path after")
        state = self.volatility.begin_at(candle_variance(*log_channels(series)), ends - 1)
        volume = None if self.volume is None else self.volume.begin_at(series.volume, ends)
        return replace(state, volume=volume)

    def sigma(self, state: VolatilityState) -> NDArray[np.float64]:
        """Return the scale of each path's next candle, shape (N,)."""
        return self.volatility.scale(state.fast, state.count)

    def slow_sigma(self, state: VolatilityState) -> NDArray[np.float64]:
        """Return the slow scale of each path, shape (N,)."""
        return self.volatility.scale(state.slow, state.count)

    def advance(self, state: VolatilityState, values: NDArray[np.float64]) -> VolatilityState:
        """Return the state after one more candle a path, of channel values (N, K) in sigma."""
        values = np.asarray(values, dtype=np.float64)
        logs = values.T[: len(CHANNELS)] * self.sigma(state)
        moved = self.volatility.advance(state, candle_variance(*logs))
        if self.volume is None:
            return moved
        return replace(moved, volume=self.volume.advance(_volume_of(state), values[:, -1]))

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

    def content(self) -> dict[str, Any]:
        """Return all that decides tokens and decoded candles, as JSON values: what the fingerprint is of."""
        return ohlc_file.content_of(self)

    @cached_property
    def _fingerprint(self) -> str:
        return ohlc_file.fingerprint_of(self.content())

    def fingerprint(self) -> str:
        """Return the hex sha256 of the content in canonical JSON, wherever its arrays are kept."""
        return self._fingerprint

    def save(self, path: Path) -> None:
        """Write JSON, floats exact; a large vocabulary's arrays go into a safetensors file beside it."""
        ohlc_file.write(self.content(), Path(path))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote, trusting nothing in it."""
        parts = ohlc_file.read(Path(path), ohlc_file.OHLCContent, cls.Config)
        return cls.restore(parts.config, parts.bins, parts.prior_variance, parts.prior_volume_variance)


def _volume_of(state: VolatilityState) -> NDArray[np.float64]:
    if state.volume is None:
        raise DataError("the state knows nothing of the volume: its tokenizer has no such channel")
    return state.volume
