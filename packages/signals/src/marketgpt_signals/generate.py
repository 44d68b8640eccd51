"""From a file of forecasts to signals: candles and calibration brought along where they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Signal
from marketgpt_signals.base import SignalStrategy, signals_of
from marketgpt_signals.candle_source import fetch_what_there_is


def calibrated(forecasts: Sequence[Forecast], calibration: Path | None = None) -> list[Forecast]:
    """Return forecasts with their P(up) put right, if a calibration is given.

    Raises:
        DataError: for a calibration that cannot be read or does not fit the forecasts.
    """
    if calibration is None:
        return list(forecasts)
    from marketgpt_signals.calibration.calibrator import Calibration

    curves = Calibration.load(calibration)
    return [curves.apply(forecast) for forecast in forecasts]


def candles_for(forecast: Forecast, source: str | None) -> Candles | None:
    """Fetch what candles there are of a forecast's symbols; None without a source."""
    if source is None:
        return None
    found, _, _ = fetch_what_there_is(source, sorted(set(forecast.symbols)), forecast.interval)
    return found


def generate_signals(
    strategy: SignalStrategy,
    forecasts: Sequence[Forecast],
    *,
    created_at: datetime,
    source: str | None = None,
) -> list[Signal]:
    """Make the signals of forecasts.

    Args:
        strategy: The strategy.
        forecasts: Calibrated, where that is wanted.
        created_at: When; aware.
        source: Where candles come from.

    Raises:
        ConfigError: when the strategy reads candles and there is no source.
        DataError: for rows that cannot be used.
    """
    if strategy.history_bars and source is None:
        raise ConfigError(f"strategy {strategy.name} reads candles: say where from with --source")
    return [
        signal
        for forecast in forecasts
        for signal in signals_of(
            strategy, forecast, created_at=created_at, candles=candles_for(forecast, source)
        )
    ]
