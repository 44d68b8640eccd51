"""Forecast: a distribution over future returns, and the protocol of whatever makes one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.times import Moment

if TYPE_CHECKING:
    import pandas as pd

    from marketgpt_core.candles import Candles

QUANTILE_LEVELS: tuple[float, ...] = (
    0.001, 0.005, 0.01, 0.025,
    *(round(0.05 * k, 2) for k in range(1, 20)),
    0.975, 0.99, 0.995, 0.999,
)  # fmt: skip


def quantile_name(level: float) -> str:
    """Return the column of a level in thousandths: 0.05 -> ``q050``, 0.999 -> ``q999``."""
    return f"q{round(level * 1000):03d}"


@dataclass(frozen=True, eq=False)
class Forecast:
    """Forecasts for N (symbol, as-of) pairs and H horizons.

    Attributes:
        symbols: length N.
        as_of: shape (N,), datetime64[ns], UTC: stamp of the last candle used. Nothing later was known.
        close: shape (N,), float64: that candle's close, to turn returns into prices.
        horizons: shape (H,), int64: bars ahead, increasing.
        levels: shape (Q,), float64: quantile levels, increasing, in (0, 1).
        quantiles: shape (N, H, Q), float64: of the cumulative natural-log return over the horizon.
        p_up: shape (N, H), float64: probability that the cumulative log return is > 0.
        aleatoric: shape (N, H), float64: spread (standard deviation, log return) the model holds
            irreducible.
        epistemic: shape (N, H), float64: spread (standard deviation, log return) between the model's own
            opinions (dropout passes, ensemble members); what more data could reduce.
        paths: shape (N, S, max horizon), float64, or None: sampled cumulative log returns of closes by bar.
        path_highs, path_lows: same shape, or None: those of each bar's high and low.
        interval: Length of one bar.
        model_id: Identity of the model that made it.
        data_fingerprint: Identity of the candles it was made from.
        caveats: length N, or none at all: what the model never saw of a pair (an asset, a market, bars of
            another length), "" where all is familiar.
    """

    symbols: tuple[str, ...]
    as_of: NDArray[np.datetime64]
    close: NDArray[np.float64]
    horizons: NDArray[np.int64]
    levels: NDArray[np.float64]
    quantiles: NDArray[np.float64]
    p_up: NDArray[np.float64]
    aleatoric: NDArray[np.float64]
    epistemic: NDArray[np.float64]
    interval: Interval = Interval.DAY
    model_id: str = ""
    data_fingerprint: str = ""
    paths: NDArray[np.float64] | None = field(default=None, repr=False)
    path_highs: NDArray[np.float64] | None = field(default=None, repr=False)
    path_lows: NDArray[np.float64] | None = field(default=None, repr=False)
    caveats: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        n, h, q = len(self.symbols), len(self.horizons), len(self.levels)
        expected = {"as_of": (n,), "close": (n,), "quantiles": (n, h, q)}
        expected |= dict.fromkeys(("p_up", "aleatoric", "epistemic"), (n, h))
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise DataError(f"forecast.{name} has shape {getattr(self, name).shape}, not {shape}")
        if len(self.caveats) not in {0, n}:
            raise DataError(f"forecast.caveats has {len(self.caveats)} lines for {n} pairs")
        if not np.isfinite(self.quantiles).all() or np.any(np.diff(self.quantiles, axis=-1) < 0):
            raise DataError("forecast.quantiles must be finite and not decrease with the level")
        if not ((self.p_up >= 0) & (self.p_up <= 1)).all():
            raise DataError("forecast.p_up must lie in [0, 1]")

    def __len__(self) -> int:
        return len(self.symbols)

    def rows(self, keep: NDArray[np.bool_] | NDArray[np.integer] | slice) -> Forecast:
        """Return the chosen (symbol, as-of) pairs."""
        index = np.arange(len(self))[keep]
        names = ("as_of", "close", "quantiles", "p_up", "aleatoric", "epistemic")
        return replace(
            self,
            symbols=tuple(self.symbols[i] for i in index),
            **{name: getattr(self, name)[index] for name in names},
            paths=None if self.paths is None else self.paths[index],
            path_highs=None if self.path_highs is None else self.path_highs[index],
            path_lows=None if self.path_lows is None else self.path_lows[index],
            caveats=tuple(self.caveats[i] for i in index) if self.caveats else (),
        )

    def of(self, symbol: str) -> Forecast:
        """Return the rows of one symbol."""
        return self.rows(np.array([name == symbol for name in self.symbols], dtype=bool))

    def horizon_index(self, horizon: int) -> int:
        """Return the position of a horizon.

        Raises:
            DataError: when it was not forecast; the message says which were.
        """
        hits = np.flatnonzero(self.horizons == horizon)
        if not len(hits):
            raise DataError(f"no forecast for {horizon} bars; there are {self.horizons.tolist()}")
        return int(hits[0])

    def quantile(self, level: float) -> NDArray[np.float64]:
        """Return one quantile, shape (N, H), log return, linear between the levels held.

        Raises:
            DataError: outside the levels held.
        """
        if not self.levels[0] <= level <= self.levels[-1]:
            raise DataError(f"quantile level {level} is outside {self.levels[0]}..{self.levels[-1]}")
        right = min(int(np.searchsorted(self.levels, level)), len(self.levels) - 1)
        left = max(right - 1, 0)
        span = self.levels[right] - self.levels[left]
        weight = 0.0 if span == 0 else (level - self.levels[left]) / span
        low, high = self.quantiles[..., left], self.quantiles[..., right]
        return np.asarray(low + weight * (high - low))

    @property
    def level_weights(self) -> NDArray[np.float64]:
        """The share of probability each level stands for, (Q,), of sum 1.

        Integrates over levels by the trapezoid rule, the outermost ones standing for what lies beyond. A
        plain mean would not do: levels are dense in the tails.
        """
        return np.diff(np.concatenate([[0.0], (self.levels[1:] + self.levels[:-1]) / 2, [1.0]]))

    def mean(self) -> NDArray[np.float64]:
        """Return the mean of each law, shape (N, H), log return: its quantiles integrated over the levels."""
        return np.asarray(self.quantiles @ self.level_weights)

    def value_at_risk(self, level: float = 0.05) -> NDArray[np.float64]:
        """Return the loss exceeded with probability ``level``, (N, H), log return, a loss positive."""
        from marketgpt_core.forecast_risk import value_at_risk

        return value_at_risk(self, level)

    def expected_shortfall(self, level: float = 0.05) -> NDArray[np.float64]:
        """Return the mean loss in the worst ``level`` of cases, (N, H), log return, a loss positive."""
        from marketgpt_core.forecast_risk import expected_shortfall

        return expected_shortfall(self, level)

    def probability_above(self, log_return: float) -> NDArray[np.float64]:
        """Return the odds of a cumulative log return above ``log_return`` at each horizon, (N, H)."""
        from marketgpt_core.forecast_risk import probability_above

        return probability_above(self, log_return)

    def probability_of_touch(self, log_return: float) -> NDArray[np.float64]:
        """Return the odds that a high (below 0: a low) reaches ``log_return`` within each horizon, (N, H).

        Raises:
            DataError: when no paths were kept.
        """
        from marketgpt_core.forecast_risk import probability_of_touch

        return probability_of_touch(self, log_return)

    def plot(self, row: int = 0, *, candles: Candles | None = None) -> Any:  # noqa: ANN401 - plotly is an extra
        """Return a fan chart of one pair as a plotly figure; ``candles`` add the closes before it."""
        from marketgpt_core.forecast_plot import fan_chart

        return fan_chart(self, row, candles)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per pair and horizon: symbol, as_of, horizon, p_up, epistemic, q001 ... q999.

        ``aleatoric``, ``close``, ``interval``, ``model_id`` and ``data_fingerprint`` come last, and
        ``caveat`` where there are any, so that :meth:`from_frame` gives all back but the paths.
        """
        from marketgpt_core.forecast_frame import forecast_to_frame

        return forecast_to_frame(self)

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Forecast:
        """Read what :meth:`to_frame` wrote.

        Raises:
            DataError: when columns are missing or pairs lack horizons.
        """
        from marketgpt_core.forecast_frame import forecast_from_frame

        return forecast_from_frame(frame)

    @classmethod
    def from_paths(
        cls,
        paths: NDArray[np.float64],
        *,
        horizons: Sequence[int],
        keep_paths: bool = False,
        **rest: Any,  # noqa: ANN401 - passed on to from_samples, which checks them
    ) -> Forecast:
        """Summarise sampled paths.

        Args:
            paths: shape (N, S, T), float64: cumulative log returns after 1..T bars.
            horizons: bars ahead, increasing, at most T.
            keep_paths: Keep the paths in the result.
            **rest: See :meth:`from_samples`.
        """
        steps = np.asarray(horizons, dtype=np.int64)
        made = cls.from_samples(paths[:, :, steps - 1], horizons=horizons, **rest)
        return replace(made, paths=paths) if keep_paths else made

    @classmethod
    def from_samples(
        cls,
        samples: NDArray[np.float64],
        *,
        symbols: Sequence[str],
        as_of: NDArray[np.datetime64],
        close: NDArray[np.float64],
        horizons: Sequence[int],
        num_passes: int = 1,
        interval: Interval = Interval.DAY,
        model_id: str = "",
        data_fingerprint: str = "",
    ) -> Forecast:
        """Summarise samples of the cumulative return at each horizon.

        Args:
            samples: shape (N, S, H), float64: cumulative log returns.
            symbols: length N.
            as_of: shape (N,).
            close: shape (N,).
            horizons: bars ahead, increasing.
            num_passes: The S samples are this many equal blocks, one per opinion of the model (a dropout
                pass, an ensemble member). By the law of total variance the spread of the block means is
                epistemic (less what sampling noise alone would give) and the mean spread inside is
                aleatoric.
            interval: Length of a bar.
            model_id: Identity of the model.
            data_fingerprint: Identity of the candles.

        Raises:
            DataError: when the samples cannot be split into that many blocks.
        """
        n, s, h = samples.shape
        if s % num_passes:
            raise DataError(f"{s} samples cannot be split into {num_passes} equal passes")
        blocks = samples.reshape(n, num_passes, s // num_passes, h)
        within = blocks.var(axis=2).mean(axis=1)
        between = np.zeros_like(within)
        if num_passes > 1:
            noise = within / blocks.shape[2]
            between = np.maximum(blocks.mean(axis=2).var(axis=1, ddof=1) - noise, 0.0)
        levels = np.asarray(QUANTILE_LEVELS)
        return cls(
            symbols=tuple(symbols),
            as_of=as_of,
            close=close,
            horizons=np.asarray(horizons, dtype=np.int64),
            levels=levels,
            quantiles=np.moveaxis(np.quantile(samples, levels, axis=1), 0, -1),
            # A tie (a flat path) is neither up nor down.
            p_up=(samples > 0).mean(axis=1) + 0.5 * (samples == 0).mean(axis=1),
            aleatoric=np.sqrt(within),
            epistemic=np.sqrt(between),
            interval=interval,
            model_id=model_id,
            data_fingerprint=data_fingerprint,
        )


@runtime_checkable
class Forecaster(Protocol):
    """Makes forecasts from candles. Whoever needs forecasts asks for this, never for a model class."""

    @property
    def model_id(self) -> str:
        """Identity of the model, recorded in every forecast and signal."""
        ...

    @property
    def min_history(self) -> int:
        """Candles a symbol needs before its first forecast."""
        ...

    def forecast(
        self,
        candles: Candles,
        *,
        horizons: Sequence[int],
        as_of: Sequence[Moment] | None = None,
        symbols: Sequence[str] | None = None,
        num_samples: int = 200,
        seed: int = 0,
    ) -> Forecast:
        """Forecast symbols at every as-of date.

        Args:
            candles: History, also of symbols that only tell what state the market is in. Candles later than
                an as-of date are never used for it.
            horizons: Bars ahead, increasing.
            as_of: Moments; each stands for the symbol's last candle at or before it. None means each
                symbol's last candle. Pairs with too little history are left out.
            symbols: Which to forecast; None means all.
            num_samples: Paths a pair.
            seed: Same seed, same forecast.

        Raises:
            DataError: when no pair has enough history.
        """
        ...
