from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import requests

from marketgpt_core.calendars import trading_calendar
from marketgpt_core.clock import FixedClock
from marketgpt_core.interval import Interval
from marketgpt_data_sources import open_source
from marketgpt_data_sources.loopback.yahoo import YahooServer
from marketgpt_data_sources.quality.sessions import hours_between

if TYPE_CHECKING:
    from marketgpt_data_sources.sources.yahoo import YFinance

DAY = np.timedelta64(1, "D")
# After so many minutes these exchanges stop for so many.
LUNCH = {"XTKS": (150, 60), "XHKG": (150, 60), "XSHG": (120, 90)}


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    with YahooServer() as server:
        yield server


@pytest.fixture
def open_yahoo(yahoo: YahooServer, clock: FixedClock, sleeper: Sleeper) -> Callable[..., YFinance]:
    """Open the source yfinance on the loopback server, without a pace and with a clock that is moved."""

    def opened(**options: Any) -> YFinance:
        source = open_source("yfinance", {"mirror": yahoo.base, "requests_per_s": 0.0, **options})
        source.clock, source.sleep, source.rng = clock, sleeper, random.Random(0)
        return source

    return opened


class Sleeper:
    """Moves a clock instead of waiting."""

    def __init__(self, clock: FixedClock) -> None:
        self.clock = clock
        self.waited_s: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.waited_s.append(seconds)
        self.clock.advance(timedelta(seconds=seconds))


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(datetime(2024, 6, 3, 12, tzinfo=UTC))


@pytest.fixture
def sleeper(clock: FixedClock) -> Sleeper:
    return Sleeper(clock)


@pytest.fixture(scope="session")
def clean_frame() -> Callable[..., pd.DataFrame]:
    """Frames of one symbol, AAA, without a fault: simulated prices at all the stamps of a calendar."""

    def frame(
        calendar: str = "XNYS",
        interval: Interval = Interval.DAY,
        *,
        seed: int = 0,
        law: str = "garch_t",
        num_candles: int = 300,
        first_year: int = 2015,
    ) -> pd.DataFrame:
        time = _stamps(calendar, interval, first_year, num_candles)
        return _prices(law, seed, len(time)).assign(time=time, symbol="AAA")

    return frame


@cache
def _prices(law: str, seed: int, num_candles: int) -> pd.DataFrame:
    options = {"num_candles": num_candles, "num_symbols": 1, "seed": seed, "steps_per_day": 8}
    return open_source(f"synthetic:{law}", options).fetch(["SYN000"]).to_frame().drop(columns="category")


@cache
def _stamps(calendar: str, interval: Interval, first_year: int, num_candles: int) -> np.ndarray:
    known = trading_calendar(calendar)
    start = np.datetime64(f"{first_year}-01-01", "D")
    days = known.sessions(start, start + (3 * num_candles + 40) * DAY)
    if interval is Interval.DAY:
        stamps = days
    elif interval is Interval.WEEK:
        monday = start - (start.astype(np.int64) + 3) % 7 * DAY
        weeks = monday + 7 * DAY * np.arange(num_candles + 20)
        stamps = weeks[known.is_session(weeks[:, None] + np.arange(7) * DAY).any(axis=1)]
    elif calendar == "weekdays":
        step = np.timedelta64(interval.duration)
        stamps = (days[:, None].astype("datetime64[ns]") + step * np.arange(DAY // step)).ravel()
    else:
        stamps = _intraday(calendar, interval, days)
    return stamps[:num_candles].astype("datetime64[ns]")


def _intraday(calendar: str, interval: Interval, days: np.ndarray) -> np.ndarray:
    known = trading_calendar(calendar)
    # Riyadh's hours are published from 2021 on.
    first = max(days[0], known.days[0] + 10 * DAY)
    hours = hours_between(first, first + len(days) * DAY, known)
    step, minute = np.timedelta64(interval.duration), np.timedelta64(1, "m")
    pieces = []
    for opens, closes in zip(hours.opens, hours.closes, strict=True):
        piece = np.arange(opens, closes, step)
        after, length = LUNCH.get(calendar, (0, 0))
        at_lunch = (piece >= opens + after * minute) & (piece < opens + (after + length) * minute)
        pieces.append(piece[~at_lunch])
    return np.concatenate(pieces)


@pytest.fixture(params=["curl_cffi", "requests"])
def opened(open_yahoo: Callable[..., YFinance], request: pytest.FixtureRequest) -> Any:
    """The source over each HTTP library; curl_cffi is what users have."""
    sessions: list[requests.Session] = []

    def opened(**options: Any) -> YFinance:
        source = open_yahoo(**options)
        if request.param == "requests":
            source.session = requests.Session()
            sessions.append(source.session)
        return source

    yield opened
    for session in sessions:
        session.close()
