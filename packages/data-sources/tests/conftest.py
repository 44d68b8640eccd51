from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

import pytest
import requests
from requests.adapters import HTTPAdapter

from marketgpt_core.clock import FixedClock

NEW_YORK = ZoneInfo("America/New_York")


@dataclass
class Listing:
    """What the server knows of one symbol: daily candles, one tuple (O, H, L, C, adjusted C, V) a day."""

    days: list[date]
    candles: list[tuple[Any, ...]]
    kind: str = "EQUITY"
    session: tuple[datetime, datetime] | None = None


@dataclass
class Yahoo:
    """A loopback server that answers the requests yfinance makes, after Yahoo's chart API (version 8)."""

    listings: dict[str, Listing] = field(default_factory=dict)
    base: str = ""
    # By symbol: (status, body) to answer with before anything else.
    faults: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)

    def list(self, symbol: str, days: list[date], candles: list[tuple[Any, ...]], **options: Any) -> None:
        self.listings[symbol] = Listing(days, candles, **options)

    def charts(self, symbol: str) -> int:
        """How many requests for candles of a symbol, not counting the one that asks for its time zone."""
        return sum(f"chart/{symbol}?" in path and "period1" in path for path in self.requests)

    def answer(self, path: str) -> tuple[int, str]:
        url = urlsplit(path)
        if url.path == "/v1/test/getcrumb":
            return 200, "crumb"
        if not url.path.startswith("/v8/finance/chart/"):
            return 404, "{}"
        symbol = unquote(url.path.rsplit("/", 1)[1])
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if self.faults.get(symbol) and "period1" in query:
            return self.faults[symbol].pop(0)
        if symbol not in self.listings:
            return 404, _error("Not Found", "No data found, symbol may be delisted")
        return self._chart(symbol, self.listings[symbol], query)

    def _chart(self, symbol: str, listing: Listing, query: dict[str, str]) -> tuple[int, str]:
        opens = [datetime(d.year, d.month, d.day, 9, 30, tzinfo=NEW_YORK) for d in listing.days]
        stamps = [int(moment.timestamp()) for moment in opens]
        start, end = float(query.get("period1", stamps[-1])), float(query.get("period2", "inf"))
        if end <= stamps[0]:
            reason = f"Data doesn't exist for startDate = {start:.0f}, endDate = {end:.0f}"
            return 400, _error("Bad Request", reason)
        rows = [row for row, stamp in enumerate(stamps) if start <= stamp < end]
        columns = list(zip(*(listing.candles[row] for row in rows), strict=True))
        names = ("open", "high", "low", "close", "adjclose", "volume")
        values = dict(zip(names, columns, strict=True)) if rows else {}
        adjusted = values.pop("adjclose", None)
        indicators = {"quote": [values], "adjclose": [{"adjclose": adjusted}] if rows else [{}]}
        result = {"meta": _meta(symbol, listing, stamps), "indicators": indicators}
        if rows:
            result["timestamp"] = [stamps[row] for row in rows]
        return 200, json.dumps({"chart": {"result": [result], "error": None}})


def _meta(symbol: str, listing: Listing, stamps: list[int]) -> dict[str, Any]:
    opened, closed = listing.session or (
        datetime.fromtimestamp(stamps[-1], UTC),
        datetime.fromtimestamp(stamps[-1], UTC) + timedelta(hours=6.5),
    )
    regular = {"timezone": "EST", "gmtoffset": -18000}
    regular |= {"start": int(opened.timestamp()), "end": int(closed.timestamp())}
    return {
        "currency": "USD",
        "symbol": symbol,
        "instrumentType": listing.kind,
        "exchangeTimezoneName": "America/New_York",
        "firstTradeDate": stamps[0],
        "validRanges": ["1d", "5d", "max"],
        "currentTradingPeriod": {"pre": dict(regular), "regular": dict(regular), "post": dict(regular)},
    }


def _error(code: str, description: str) -> str:
    return json.dumps({"chart": {"result": None, "error": {"code": code, "description": description}}})


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
def yahoo() -> Iterator[Yahoo]:
    server = Yahoo()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            server.requests.append(self.path)
            status, body = server.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        do_POST = do_GET

        def log_message(self, *arguments: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    server.base = f"http://127.0.0.1:{http.server_port}"
    yield server
    http.shutdown()
    http.server_close()
    thread.join()


@pytest.fixture
def yahoo_session(yahoo: Yahoo, tmp_path: Path) -> Iterator[requests.Session]:
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
