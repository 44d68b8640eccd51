"""The contract of a signal strategy: a forecast row in, one Signal per horizon out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from marketgpt_core.config import Config
from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Bands, Side, Signal
from marketgpt_core.times import iso, to_datetime
from marketgpt_signals.expiry import expires_at

BAND_LEVELS = (0.05, 0.25, 0.50, 0.75, 0.95)


class StrategyConfig(Config):
    """What every strategy can be told.

    Attributes:
        horizons: Horizons to speak about, in bars; empty: every horizon of the forecast.
    """

    horizons: tuple[int, ...] = Field(default=(), description="bars ahead; empty: all of the forecast")


@dataclass(frozen=True)
class Decision:
    """What a strategy says about one row at one horizon.

    Attributes:
        side: LONG, SHORT or FLAT.
        confidence: In [0, 1].
        reason: One sentence: why this side; an abstention must give it.
    """

    side: Side
    confidence: float
    reason: str


class SignalStrategy(ABC):
    """Turns forecasts into signals, each (symbol, as-of) row judged by itself.

    A subclass sets ``name`` to the name it is registered under, nests its own ``Config`` (a
    :class:`StrategyConfig`) and implements :meth:`decide`. It never sees more than one row, so it cannot
    look ahead by accident.

    Args:
        config: An instance of the class's ``Config``.
    """

    name: ClassVar[str]

    class Config(StrategyConfig):
        """Options."""

    config: StrategyConfig

    def __init__(self, config: StrategyConfig) -> None:
        self.config = config

    @abstractmethod
    def decide(self, row: Forecast, column: int) -> Decision:
        """Judge one row at one horizon.

        Args:
            row: A forecast with exactly one (symbol, as-of) pair and all its horizons.
            column: Position of the horizon in ``row.horizons``.
        """

    def signals(self, forecast: Forecast, *, created_at: datetime) -> list[Signal]:
        """Return one signal per (symbol, as-of) row and horizon, in the forecast's order.

        Args:
            forecast: N rows; a row's signals depend on that row only.
            created_at: When they are made; aware.

        Raises:
            DataError: for a horizon that was not forecast, or a row that cannot be priced (a close or
                quantile that is not a positive, finite price).
        """
        wanted = self.config.horizons or tuple(int(h) for h in forecast.horizons)
        columns = [forecast.horizon_index(horizon) for horizon in wanted]
        bands = price_bands(forecast)
        result = []
        for i in range(len(forecast)):
            row = forecast.rows(slice(i, i + 1))
            for column in columns:
                decision = self.decide(row, column)
                result.append(self._signal(row, column, bands[i, column], decision, created_at))
        return result

    def _signal(
        self,
        row: Forecast,
        column: int,
        band_prices: NDArray[np.float64],
        decision: Decision,
        created_at: datetime,
    ) -> Signal:
        symbol, as_of = row.symbols[0], to_datetime(row.as_of[0])
        horizon = int(row.horizons[column])
        try:
            bands = Bands(*(float(price) for price in band_prices))
        except DataError as error:
            where = f"{symbol} at {iso(as_of)}, {horizon} bars, close {row.close[0]}"
            raise DataError(f"no signal can be made for {where}: {error}") from None
        return Signal(
            symbol=symbol,
            as_of=as_of,
            horizon_bars=horizon,
            interval=row.interval,
            side=decision.side,
            probability=float(row.p_up[0, column]),
            confidence=decision.confidence,
            close=float(row.close[0]),
            bands=bands,
            expires_at=expires_at(symbol, as_of, horizon, row.interval),
            created_at=created_at,
            strategy=self.name,
            model_id=row.model_id,
            data_fingerprint=row.data_fingerprint,
            reason=decision.reason,
        )


def price_bands(forecast: Forecast) -> NDArray[np.float64]:
    """Return the 5%, 25%, 50%, 75% and 95% quantiles as prices, shape (N, H, 5), quote currency."""
    returns = np.stack([forecast.quantile(level) for level in BAND_LEVELS], axis=-1)
    # Interpolating between tied quantiles may lose their order by one unit in the last place.
    ordered = np.maximum.accumulate(returns, axis=-1)
    with np.errstate(over="ignore"):  # an absurd quantile becomes inf, which Bands refuses with its row
        prices: NDArray[np.float64] = forecast.close[:, None, None] * np.exp(ordered)
    return prices
