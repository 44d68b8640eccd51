"""A loopback server that speaks Yahoo's chart API, for tests and benchmarks of whatever asks Yahoo.

It answers what yfinance sends (cookie, crumb, candles) from listings a test makes up, with the faults a test
asks for, and records every request::

    with YahooServer() as server:
        server.list("ACME", weekdays(date(2024, 3, 1), 20), walk(20, seed=1))
        server.faults["ACME"] = [(429, "Too Many Requests", {"Retry-After": "7"}), "timeout", "html"]
        source = open_source("yfinance", {"mirror": server.base})

The forms of its answers and the texts of its errors follow what yfinance 1.7 reads and what users reported.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal
from urllib.parse import parse_qs, unquote, urlsplit

from marketgpt_data_sources.loopback.listing import Candle, Listing, refusal, walk, weekdays

__all__ = ["Candle", "Fault", "Listing", "YahooServer", "walk", "weekdays"]

# What to answer instead. A tuple: status, body and, if any, headers. "timeout": hold the connection until
# release(). "truncate": half the true answer under its full length. "html": a page. "reset": cut the line.
# "empty": no body.
Fault = (
    tuple[int, str]
    | tuple[int, str, Mapping[str, str]]
    | Literal["timeout", "truncate", "html", "reset", "empty"]
)
_CHART = "/v8/finance/chart/"
_PAGE = "<!DOCTYPE html><html><body>Our engineers are working quickly to resolve the issue.</body></html>"
# Days of one request (None: any) and days back from now, as Yahoo's error texts say.
_LIMITS: dict[str, tuple[int | None, int]] = {"1m": (8, 30), "5m": (None, 60), "1h": (None, 730)}
_A_DAY_S = 86_400


@dataclass(frozen=True)
class _Reply:
    status: int = 200
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    # What is wrong with it: "timeout", "truncate", "reset" or nothing.
    broken: str = ""


class YahooServer:
    """The server; a context manager that listens on a free port of 127.0.0.1 while it is open.

    Its methods may be called from any thread while it answers.

    Attributes:
        base: Its address, ``http://127.0.0.1:PORT``.
        listings: What it knows, by symbol.
        faults: By symbol, or by path for requests other than candles, what to answer first; each once.
        latency_s: How long it takes over every answer.
        now: Its clock, for the limits of intraday history; None lifts them.
        requests: Path and query of every request, in order of arrival.
        busiest: Most requests it was answering at one time.
    """

    def __init__(self, *, latency_s: float = 0.0, now: datetime | None = None) -> None:
        self.listings: dict[str, Listing] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.latency_s = latency_s
        self.now = now
        self.requests: list[str] = []
        self.busiest = 0
        self._busy = 0
        self._lock = threading.RLock()
        self._released = threading.Event()
        self._stopped = threading.Event()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"yahoo": self}))
        self._http.daemon_threads = True
        self.base = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> YahooServer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self.release()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def list(
        self,
        symbol: str,
        days: Sequence[date],
        candles: Sequence[Candle],
        **options: Any,  # noqa: ANN401 - fields of Listing
    ) -> Listing:
        """List a symbol with one candle a day; ``options`` are further fields of :class:`Listing`."""
        with self._lock:
            self.listings[symbol] = Listing([*days], [*candles], **options)
            return self.listings[symbol]

    def extend(self, symbol: str, days: Sequence[date], candles: Sequence[Candle]) -> None:
        """Let days pass: append candles to a listed symbol."""
        with self._lock:
            self.listings[symbol].days += days
            self.listings[symbol].candles += candles

    def list_intraday(self, symbol: str, interval: str, *, seed: int = 0) -> dict[int, Candle]:
        """Give a listed symbol candles at ``1m``, ``5m`` or ``1h``; see :meth:`Listing.add_bars`."""
        with self._lock:
            return self.listings[symbol].add_bars(interval, seed=seed)

    def rescale(
        self, symbol: str, ratio: float, *, before: date | None = None, dividend: bool = False
    ) -> None:
        """Change a symbol's history, as a vendor does after a split or a dividend.

        Args:
            symbol: A listed symbol.
            ratio: What its prices are multiplied by; volume is divided by it.
            before: First day that stays as it is; None changes all.
            dividend: Whether only adjusted closes change.
        """
        with self._lock:
            self.listings[symbol].rescale(ratio, before=before, dividend=dividend)

    def release(self) -> None:
        """Let go of the connections that "timeout" holds, now and later."""
        self._released.set()

    def charts(self, symbol: str) -> int:
        """Return how many requests for a symbol's candles arrived."""
        return self.counts()[symbol]

    def counts(self) -> Counter[str]:
        """Return how many requests for candles arrived, by symbol."""
        with self._lock:
            found = (_symbol(path) for path in self.requests)
            return Counter(symbol for symbol in found if symbol is not None)

    def _answer(self, path: str) -> _Reply:
        with self._lock:
            self.requests.append(path)
            waiting = self.faults.get(_symbol(path) or urlsplit(path).path)
            fault = waiting.pop(0) if waiting else ""
            if isinstance(fault, tuple):
                return _Reply(*fault)
            if fault == "html":
                return _Reply(body=_PAGE, headers={"Content-Type": "text/html"})
            if fault == "empty":
                return _Reply()
            status, body = self._truth(path)
            return _Reply(status, body, broken=fault)

    def _truth(self, path: str) -> tuple[int, str]:
        url = urlsplit(path)
        if url.path == "/v1/test/getcrumb":
            return 200, "crumb"
        if not url.path.startswith(_CHART):
            return 404, "{}"
        symbol = unquote(url.path.removeprefix(_CHART))
        if symbol not in self.listings:
            return 404, refusal("Not Found", "No data found, symbol may be delisted")
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        interval = query.get("interval", "1d")
        start, end = float(query.get("period1", "-inf")), float(query.get("period2", "inf"))
        refused = self._beyond(interval, start, end)
        if refused:
            return 422, refusal("Unprocessable Entity", refused)
        return self.listings[symbol].chart(symbol, interval, start, end)

    def _beyond(self, interval: str, start: float, end: float) -> str | None:
        if self.now is None or interval not in _LIMITS:
            return None
        a_request, back = _LIMITS[interval]
        what = f"{interval} data not available for startTime={start:.0f} and endTime={end:.0f}."
        if a_request is not None and end - start > a_request * _A_DAY_S:
            allowed = (
                f"Only {a_request} days worth of 1m granularity data are allowed to be fetched per request."
            )
            return f"{what} {allowed}"
        if start < self.now.timestamp() - back * _A_DAY_S:
            return f"{what} The requested range must be within the last {back} days."
        return None

    @contextmanager
    def _answering(self) -> Iterator[None]:
        with self._lock:
            self._busy += 1
            self.busiest = max(self.busiest, self._busy)
        try:
            yield
        finally:
            with self._lock:
                self._busy -= 1


class _Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    yahoo: YahooServer

    def do_GET(self) -> None:
        """Answer, or fail to as the test asked."""
        with self.yahoo._answering():  # noqa: SLF001 - the other half of the server
            self._send(self.yahoo._answer(self.path))  # noqa: SLF001

    do_POST = do_GET  # noqa: N815 - the library's name

    def _send(self, reply: _Reply) -> None:
        self.close_connection = True
        if self.yahoo.latency_s:
            self.yahoo._stopped.wait(self.yahoo.latency_s)  # noqa: SLF001
        if reply.broken == "timeout":
            self.yahoo._released.wait()  # noqa: SLF001
            return
        if reply.broken == "reset":
            # Lingering for no time makes the kernel send a reset instead of an orderly end.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        body = reply.body.encode()
        with suppress(ConnectionError):  # the client gave up: nobody is left to be told
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if reply.broken == "truncate" else body)

    def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the library's name
        """Say nothing: requests are recorded."""


def _symbol(path: str) -> str | None:
    """Return the symbol a request for candles is for; None for any other request."""
    url = urlsplit(path)
    if not url.path.startswith(_CHART) or "period1" not in url.query:
        return None
    return unquote(url.path.removeprefix(_CHART))
