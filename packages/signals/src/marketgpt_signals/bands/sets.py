"""The four band sets of a symbol, 1w, 2w, 1m and 2m: classical and forecast, with their coverage. T bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.candles import CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.exchanges import guess_category
from marketgpt_core.forecast import Forecast
from marketgpt_core.horizons import horizon_bars
from marketgpt_core.symbols import Category
from marketgpt_core.times import iso
from marketgpt_signals.bands.classical import WIDTH, BandSeries, bollinger_bands
from marketgpt_signals.bands.coverage import Coverage, coverage

NAMES = ("1w", "2w", "1m", "2m")
CLASSICAL, FORECAST = "classical", "forecast"


@dataclass(frozen=True, eq=False)
class BandSet:
    """Bands of one kind and length.

    Attributes:
        symbol: The symbol.
        name: ``1w`` ... ``2m``.
        kind: ``classical`` or ``forecast``.
        bars: The window of a classical set, the horizon of a forecast one.
        bands: Lines by the bar at whose close they were known, shape (T,).
        next_close: How often the next close lay within a classical set; None for a forecast one.
        at_horizon: How often the close ``bars`` later did.
        nominal: What is promised: a forecast set's probability; None for a classical one, which promises
            nothing (2 deviations hold 95.4% of a normal law, at least 75% of any).
    """

    symbol: str
    name: str
    kind: str
    bars: int
    bands: BandSeries
    next_close: Coverage | None
    at_horizon: Coverage
    nominal: float | None

    def to_json(self, series: CandleSeries) -> dict[str, Any]:
        """Return the newest bands and the coverage as JSON values."""
        rows = np.flatnonzero(~np.isnan(self.bands.middle))
        newest = None
        if len(rows):
            row = int(rows[-1])
            lines = {name: float(getattr(self.bands, name)[row]) for name in ("lower", "middle", "upper")}
            newest = {
                "known_at_the_close_of": iso(series.time[row]),
                "close": float(series.close[row]),
                **lines,
            }
        return {
            "symbol": self.symbol,
            "name": self.name,
            "kind": self.kind,
            "bars": self.bars,
            "nominal": self.nominal,
            "newest": newest,
            "next_close": None if self.next_close is None else vars(self.next_close),
            "at_horizon": vars(self.at_horizon),
        }


def band_sets(
    series: CandleSeries,
    forecast: Forecast | None = None,
    *,
    width: float = WIDTH,
    probability: float = 0.95,
    num_resamples: int = 500,
    seed: int = 0,
) -> list[BandSet]:
    """Return the band sets of a symbol: four classical ones, and of the forecast those it has horizons for.

    Args:
        series: Daily candles.
        forecast: Forecasts; rows of other symbols, and of as-ofs that are no candle, are left out.
        width: Standard deviations of the classical bands.
        probability: Of the forecast bands, half of what is left on each side.
        num_resamples: Resamples of a coverage's interval.
        seed: Their seed.

    Raises:
        DataError: for a probability whose quantiles the forecast does not hold.
    """
    how: dict[str, Any] = {"num_resamples": num_resamples, "seed": seed}
    # A source that tells no category leaves BTC-USD to its shape.
    category = series.category if series.category is not Category.UNKNOWN else guess_category(series.symbol)
    found = []
    for name in NAMES:
        bars = horizon_bars(name, category)
        bands = bollinger_bands(series.close, bars, width)
        near, far = (_came(series.close, bands, ahead, how) for ahead in (1, bars))
        found.append(BandSet(series.symbol, name, CLASSICAL, bars, bands, near, far, None))
    if forecast is None:
        return found
    mine = forecast.of(series.symbol)
    for name in NAMES:
        bars = horizon_bars(name, category)
        if len(mine) and bars in mine.horizons:
            bands = forecast_bands(series, mine, bars, probability)
            far = _came(series.close, bands, bars, how)
            found.append(BandSet(series.symbol, name, FORECAST, bars, bands, None, far, probability))
    return found


def forecast_bands(series: CandleSeries, forecast: Forecast, bars: int, probability: float) -> BandSeries:
    """Return a forecast's quantiles as prices, by the bar it was made at; NaN where there is none.

    Args:
        series: Candles; their closes turn returns into prices, so a split since then does no harm.
        forecast: Rows of this symbol.
        bars: The horizon.
        probability: Mass between lower and upper; the middle is the median.

    Raises:
        DataError: for a probability whose quantiles are not held.
    """
    if not 0 < probability < 1:
        raise DataError(f"the probability of a band lies between 0 and 1, got {probability:g}")
    column = forecast.horizon_index(bars)
    rows = np.searchsorted(series.time, forecast.as_of)
    there = rows < len(series)
    there[there] = series.time[rows[there]] == forecast.as_of[there]
    lines = []
    for level in ((1 - probability) / 2, 0.5, (1 + probability) / 2):
        line = np.full(len(series), np.nan)
        line[rows[there]] = series.close[rows[there]] * np.exp(forecast.quantile(level)[there, column])
        lines.append(line)
    return BandSeries(*lines)


def _came(close: NDArray[np.float64], bands: BandSeries, ahead: int, how: dict[str, Any]) -> Coverage:
    """Judge the bands of each bar by the close ``ahead`` bars later."""
    if len(close) <= ahead:
        return coverage(np.array([]), np.array([]), np.array([]), mean_block=1)
    known = np.flatnonzero(~np.isnan(bands.middle[:-ahead]))
    # In bands, not in bars: forecasts may be made every few bars only.
    step = float(np.median(np.diff(known))) if len(known) > 1 else 1.0
    return coverage(
        close[known + ahead], bands.lower[known], bands.upper[known], mean_block=ahead / step, **how
    )
