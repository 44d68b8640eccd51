"""From a file of forecasts to signals: candles and calibration brought along where they are wanted."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from marketgpt_core.candles import Candles
from marketgpt_core.errors import ConfigError
from marketgpt_core.forecast import Forecast
from marketgpt_core.signal import Signal
from marketgpt_signals.base import SignalStrategy, signals_of
from marketgpt_signals.candle_source import fetch_candles
from marketgpt_signals.forecasts import read_forecasts


def calibrated_forecasts(path: Path, calibration: Path | None = None) -> list[Forecast]:
    """Read forecasts and put their P(up) right, if a calibration is given.

    Raises:
        DataError: for a file that cannot be read, or a calibration that does not fit the forecasts.
    """
    found = read_forecasts(path)
    if calibration is None:
        return found
    from marketgpt_signals.calibration.calibrator import Calibration

    curves = Calibration.load(calibration)
    return [curves.apply(forecast) for forecast in found]


def candles_for(forecast: Forecast, source: str | None) -> Candles | None:
    """Fetch the candles of a forecast's symbols; None without a source."""
    if source is None:
        return None
    return fetch_candles(source, sorted(set(forecast.symbols)), forecast.interval, skip_unknown=True)


def generate_signals(
    strategy: SignalStrategy,
    path: Path,
    *,
    created_at: datetime,
    source: str | None = None,
    calibration: Path | None = None,
) -> list[Signal]:
    """Make the signals of a file of forecasts.

    Args:
        strategy: The strategy.
        path: What ``marketgpt forecast --out`` wrote.
        created_at: When; aware.
        source: Where candles come from.
        calibration: What ``marketgpt signals calibrate`` wrote.

    Raises:
        ConfigError: when the strategy reads candles and there is no source.
        DataError: for files or rows that cannot be used.
    """
    if strategy.history_bars and source is None:
        raise ConfigError(f"strategy {strategy.name} reads candles: say where from with --source")
    return [
        signal
        for forecast in calibrated_forecasts(path, calibration)
        for signal in signals_of(
            strategy, forecast, created_at=created_at, candles=candles_for(forecast, source)
        )
    ]
