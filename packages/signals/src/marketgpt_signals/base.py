"""The contract of a signal strategy: forecasts in, one Signal per (symbol, as-of) row and horizon out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from inspect import signature
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marketgpt_core.alignment import Aligned
from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.config import Config
from marketgpt_core.errors import DataError, PluginError
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Bands, Side, Signal
from marketgpt_core.times import iso, to_datetime
from marketgpt_signals.expiry import expires_at
from marketgpt_signals.gate import closed_gate
from marketgpt_signals.known import KnownCandles, View, cross_sections, moments_known

BAND_LEVELS = (0.05, 0.25, 0.50, 0.75, 0.95)


class StrategyConfig(Config):
    """What every strategy can be told.

    Attributes:
        horizons: Horizons to speak about, in bars; empty: every horizon of the forecast.
        max_epistemic_ratio: Abstain where epistemic spread exceeds this many times the aleatoric one.
        allow_caveats: Speak also about what the model never saw (an asset, a market).
    """

    horizons: tuple[int, ...] = Field(default=(), description="bars ahead; empty: all of the forecast")
    max_epistemic_ratio: float = Field(default=1.0, ge=0)
    allow_caveats: bool = False


@dataclass(frozen=True)
class Decision:
    """What a strategy says about one row at one horizon.

    Attributes:
        side: LONG, SHORT or FLAT.
        confidence: In [0, 1].
        reason: One sentence: why this side; an abstention must give it.
        size: In [0, 1]: fraction of the symbol's budget to hold; means nothing for FLAT.
    """

    side: Side
    confidence: float
    reason: str
    size: float = 1.0


class SignalStrategy(ABC):
    """Turns forecasts into signals, each (symbol, as-of) row judged by itself.

    A subclass sets ``name`` to the name it is registered under, nests its own ``Config`` (a
    :class:`StrategyConfig`) and implements :meth:`decide`. It never sees more than one row, so it cannot
    look ahead by accident. One that needs other rows of the same as-of, or candles, is a
    :class:`ViewStrategy`. Rows the epistemic gate is closed for (:mod:`marketgpt_signals.gate`) become FLAT
    without asking it.

    Args:
        config: An instance of the class's ``Config``.
    """

    name: ClassVar[str]
    cross_section: ClassVar[bool] = False

    class Config(StrategyConfig):
        """Options."""

    config: StrategyConfig

    def __init__(self, config: StrategyConfig) -> None:
        self.config = config

    @property
    def history_bars(self) -> int:
        """Candles of a symbol it reads at most, the as-of one included; 0 when it reads none."""
        return 0

    @abstractmethod
    def decide(self, row: Forecast, column: int) -> Decision:
        """Judge one row at one horizon.

        Args:
            row: A forecast with exactly one (symbol, as-of) pair and all its horizons.
            column: Position of the horizon in ``row.horizons``.
        """

    def judge(self, view: View, column: int) -> Sequence[Decision]:
        """Judge every row of a view at one horizon; one decision a row, in order."""
        return [self.decide(view.forecast.rows(slice(i, i + 1)), column) for i in range(len(view.forecast))]

    def signals(
        self, forecast: Forecast, *, created_at: datetime, candles: Candles | None = None
    ) -> list[Signal]:
        """Return one signal per (symbol, as-of) row and horizon, in the forecast's order.

        Args:
            forecast: N rows; a row's signals depend on what was known when its as-of candle ended.
            created_at: When they are made; aware.
            candles: History for strategies that read it; each row is shown what had ended by its as-of.

        Raises:
            DataError: for a horizon that was not forecast, or a row that cannot be priced (a close or
                quantile that is not a positive, finite price).
        """
        wanted = self.config.horizons or tuple(int(h) for h in forecast.horizons)
        columns = [forecast.horizon_index(horizon) for horizon in wanted]
        prices = price_bands(forecast)
        decided: dict[tuple[int, int], Decision] = {}
        for rows, known in self._views(forecast, candles):
            for column in columns:
                decided |= self._decisions(forecast, rows, known, column)
        return [
            self._signal(
                forecast,
                i,
                column,
                decision=decided[i, column],
                prices=prices[i, column],
                created_at=created_at,
            )
            for i in range(len(forecast))
            for column in columns
        ]

    def _views(
        self, forecast: Forecast, candles: Candles | None
    ) -> Iterator[tuple[NDArray[np.int64], Mapping[str, CandleSeries]]]:
        """Yield the rows to be judged together, and the candles known then."""
        single = [np.array([i]) for i in range(len(forecast))]
        if not self.cross_section and not self.history_bars:
            yield from ((rows, {}) for rows in single)
            return
        moments = moments_known(forecast, candles)
        aligned = Aligned(candles) if candles is not None and self.history_bars else None
        for rows in cross_sections(forecast.as_of, moments) if self.cross_section else single:
            moment = moments[rows[0]]
            yield rows, {} if aligned is None else KnownCandles(aligned, moment, self.history_bars)

    def _decisions(
        self, forecast: Forecast, rows: NDArray[np.int64], known: Mapping[str, CandleSeries], column: int
    ) -> dict[tuple[int, int], Decision]:
        result, asked = {}, []
        for i in rows.tolist():
            why = closed_gate(forecast, i, column, self.config)
            if why is None:
                asked.append(i)
            else:
                confidence = abs(2 * float(forecast.p_up[i, column]) - 1)
                result[i, column] = Decision(Side.FLAT, confidence, why)
        if asked:
            view = View(forecast.rows(np.array(asked)), known)
            made = self.judge(view, column)
            if len(made) != len(asked):
                raise PluginError(f"strategy {self.name}: {len(made)} decisions for {len(asked)} rows")
            result |= {(i, column): one for i, one in zip(asked, made, strict=True)}
        return result

    def _signal(
        self,
        forecast: Forecast,
        i: int,
        column: int,
        *,
        decision: Decision,
        prices: NDArray[np.float64],
        created_at: datetime,
    ) -> Signal:
        symbol, as_of = forecast.symbols[i], to_datetime(forecast.as_of[i])
        horizon = int(forecast.horizons[column])
        try:
            bands = Bands(*(float(price) for price in prices))
        except DataError as error:
            where = f"{symbol} at {iso(as_of)}, {horizon} bars, close {forecast.close[i]}"
            raise DataError(f"no signal can be made for {where}: {error}") from None
        return Signal(
            symbol=symbol,
            as_of=as_of,
            horizon_bars=horizon,
            interval=forecast.interval,
            side=decision.side,
            probability=float(forecast.p_up[i, column]),
            confidence=decision.confidence,
            close=float(forecast.close[i]),
            bands=bands,
            expires_at=expires_at(symbol, as_of, horizon, forecast.interval),
            created_at=created_at,
            strategy=self.name,
            model_id=forecast.model_id,
            data_fingerprint=forecast.data_fingerprint,
            reason=decision.reason,
            # What is not held has no size.
            size=1.0 if decision.side is Side.FLAT else decision.size,
        )


class ViewStrategy(SignalStrategy):
    """A strategy that looks at candles, or at all rows of one moment at once.

    A subclass implements :meth:`judge`. With ``cross_section = True`` a view holds every pair of one as-of
    whose candles ended at the same moment; else one row. ``history_bars`` says how many candles of a symbol
    it reads. The framework cuts both, so nothing later can be reached.
    """

    @abstractmethod
    def judge(self, view: View, column: int) -> Sequence[Decision]:
        """Judge every row of a view at one horizon; one decision a row, in order."""

    def decide(self, row: Forecast, column: int) -> Decision:
        """Judge one row without candles or company."""
        return self.judge(View(row, {}), column)[0]


def signals_of(
    strategy: SignalStrategy, forecast: Forecast, *, created_at: datetime, candles: Candles | None = None
) -> list[Signal]:
    """Return a strategy's signals, with candles where its :meth:`SignalStrategy.signals` takes any."""
    if candles is None or "candles" not in signature(strategy.signals).parameters:
        return strategy.signals(forecast, created_at=created_at)
    return strategy.signals(forecast, created_at=created_at, candles=candles)


def price_bands(forecast: Forecast) -> NDArray[np.float64]:
    """Return the 5%, 25%, 50%, 75% and 95% quantiles as prices, shape (N, H, 5), quote currency."""
    returns = np.stack([forecast.quantile(level) for level in BAND_LEVELS], axis=-1)
    # Interpolating between tied quantiles may lose their order by one unit in the last place.
    ordered = np.maximum.accumulate(returns, axis=-1)
    with np.errstate(over="ignore"):  # an absurd quantile becomes inf, which Bands refuses with its row
        prices: NDArray[np.float64] = forecast.close[:, None, None] * np.exp(ordered)
    return prices
