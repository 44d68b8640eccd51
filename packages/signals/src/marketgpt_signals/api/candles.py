"""Daily candles and their bands, kept for a minute: many ask for the same few symbols."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import nullcontext
from functools import lru_cache

from marketgpt_core.candles import CandleSeries
from marketgpt_core.errors import MarketGPTError
from marketgpt_core.forecast import Forecast
from marketgpt_core.interval import Interval
from marketgpt_signals.api.models import BandsAnswer, BandSetOut, BandsQuery
from marketgpt_signals.api.problems import NotHereError, UnavailableError
from marketgpt_signals.bands.sets import band_sets
from marketgpt_signals.candle_source import fetch_what_there_is

logger = logging.getLogger(__name__)

_KEPT_S = 60
_RESAMPLES = 500


class CandleShelf:
    """Candles of the source the server was started with.

    Args:
        source: ``parquet:DIR`` and the like; None: the server has none.
    """

    def __init__(self, source: str | None) -> None:
        self._source = source
        self._daily = lru_cache(maxsize=256)(self._fetch)
        # Of many who ask for the same at once, one works.
        self._by_symbol = tuple(threading.Lock() for _ in range(16))
        self._one_by_one = threading.Lock()
        self._bands = lru_cache(maxsize=256)(self._draw)

    def bands(self, query: BandsQuery, forecast: Forecast | None) -> BandsAnswer:
        """Return a symbol's bands; with intervals one after the other, as each takes a second of a core.

        Raises:
            UnavailableError: without a source, or when it cannot be asked just now.
            NotHereError: for a symbol it does not have.
            DataError: for a probability whose quantiles the forecast does not hold.
        """
        now = int(time.monotonic() // _KEPT_S)
        lock = self._by_symbol[hash(query.symbol) % len(self._by_symbol)]
        with lock, self._one_by_one if query.intervals else nullcontext():
            return self._bands(query, forecast, now)

    def _draw(self, query: BandsQuery, forecast: Forecast | None, now: int) -> BandsAnswer:
        series = self._daily(query.symbol, now)
        found = band_sets(
            series,
            forecast,
            width=query.width,
            probability=query.probability,
            num_resamples=_RESAMPLES if query.intervals else 0,
        )
        sets = [BandSetOut.model_validate(one.to_json(series)) for one in found]
        return BandsAnswer(symbol=query.symbol, interval=series.interval, bands=sets)

    def _fetch(self, symbol: str, now: int) -> CandleSeries:  # noqa: ARG002 - part of the key: a minute's
        if self._source is None:
            raise UnavailableError("this server was started without a source of candles")
        try:
            found, gone, unreached = fetch_what_there_is(self._source, [symbol], Interval.DAY)
        except MarketGPTError as error:
            # The message names places of the server; it goes to the log.
            logger.error("no candles of %s: %s", symbol, error)  # noqa: TRY400 - the line says it
            raise UnavailableError("the source of candles cannot be read") from error
        if symbol in unreached:
            raise UnavailableError(f"there are no candles of {symbol} just now")
        if symbol in gone or not len(found):
            raise NotHereError(f"the source has no candles of {symbol}")
        return found[symbol]
