"""Daily candles and their bands, kept for a minute: many ask for the same few symbols."""

from __future__ import annotations

import logging
import time
from functools import lru_cache

from marketgpt_core.candles import CandleSeries
from marketgpt_core.errors import MarketGPTError
from marketgpt_core.forecast import Forecast
from marketgpt_core.interval import Interval
from marketgpt_signals.api.models import BandsAnswer, BandSetOut
from marketgpt_signals.api.problems import NotHereError, UnavailableError
from marketgpt_signals.bands.sets import band_sets
from marketgpt_signals.candle_source import fetch_what_there_is

logger = logging.getLogger(__name__)

_KEPT_S = 60


class CandleShelf:
    """Candles of the source the server was started with.

    Args:
        source: ``parquet:DIR`` and the like; None: the server has none.
    """

    def __init__(self, source: str | None) -> None:
        self._source = source
        self._daily = lru_cache(maxsize=256)(self._fetch)
        self._bands = lru_cache(maxsize=256)(self._draw)

    def bands(self, symbol: str, forecast: Forecast | None, width: float, probability: float) -> BandsAnswer:
        """Return a symbol's bands.

        Raises:
            UnavailableError: without a source, or when it cannot be asked just now.
            NotHereError: for a symbol it does not have.
            DataError: for a probability whose quantiles the forecast does not hold.
        """
        return self._bands(symbol, forecast, width, probability, self._now())

    def _now(self) -> int:
        return int(time.monotonic() // _KEPT_S)

    def _draw(
        self, symbol: str, forecast: Forecast | None, width: float, probability: float, now: int
    ) -> BandsAnswer:
        series = self._daily(symbol, now)
        found = band_sets(series, forecast, width=width, probability=probability)
        sets = [BandSetOut.model_validate(one.to_json(series)) for one in found]
        return BandsAnswer(symbol=symbol, interval=series.interval, bands=sets)

    def _fetch(self, symbol: str, now: int) -> CandleSeries:  # noqa: ARG002 - part of the key: a minute's
        if self._source is None:
            raise UnavailableError("this server was started without a source of candles")
        try:
            found, gone, unreached = fetch_what_there_is(self._source, [symbol], Interval.DAY)
        except MarketGPTError as error:
            # The message names places of the server; it goes to the log.
            logger.error("no candles of %s: %s", symbol, error)  # noqa: TRY400 - the line says it
            raise UnavailableError("the source of candles cannot be read") from error
        if symbol in gone or not len(found):
            raise NotHereError(f"the source has no candles of {symbol}")
        if symbol in unreached:
            raise UnavailableError(f"there are no candles of {symbol} just now")
        return found[symbol]
