from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter

from marketgpt_core.clock import FixedClock
from marketgpt_data_sources.loopback.yahoo import YahooServer


class _Loopback(HTTPAdapter):
    """Sends every request to one base URL, whatever host it was meant for."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        url = urlsplit(request.url)
        request.url = self._base + url.path + (f"?{url.query}" if url.query else "")
        return super().send(request, **{**options, "proxies": {}})


@pytest.fixture
def yahoo() -> Iterator[YahooServer]:
    with YahooServer() as server:
        yield server


@pytest.fixture
def yahoo_session(yahoo: YahooServer, tmp_path: Path) -> Iterator[requests.Session]:
    import yfinance as yf

    yf.set_tz_cache_location(str(tmp_path / "yfinance"))
    with requests.Session() as session:
        session.mount("https://", _Loopback(yahoo.base))
        session.mount("http://", _Loopback(yahoo.base))
        yield session


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
