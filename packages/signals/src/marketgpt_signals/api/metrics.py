"""Counters for Prometheus. Labels are few: the template of a route, never its path."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from marketgpt_core.clock import Clock
from marketgpt_core.errors import MarketGPTError
from marketgpt_signals.api.feed import Feed
from marketgpt_signals.api.jobs.store import JobStore
from marketgpt_signals.ledger import Ledger, Summary

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
# Counting millions of rows takes a moment; who scrapes more often is shown the same.
_KEPT_S = 15.0


class Metrics:
    """What is counted of one application.

    Args:
        ledger: Its rows are counted.
        feed: Its listeners are counted.
        jobs: Are counted by where they stand.
        clock: Tells the age of the newest signal.
    """

    def __init__(self, ledger: Ledger, feed: Feed, jobs: JobStore, clock: Clock) -> None:
        self._registry = CollectorRegistry()
        labels = ("method", "route", "status")
        self.requests = Counter(
            "marketgpt_http_requests", "Requests answered.", labels, registry=self._registry
        )
        self.seconds = Histogram(
            "marketgpt_http_request_seconds",
            "From a request's arrival to the end of its answer; streams are left out.",
            ("method", "route"),
            registry=self._registry,
            buckets=_BUCKETS,
        )
        self._registry.register(_Gauges(ledger, feed, jobs, clock))

    def exposed(self) -> tuple[bytes, str]:
        """Return everything as text, and its media type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST

    def count(self, scope: Scope, status: int, taken_s: float, *, streamed: bool) -> None:
        """Count a request."""
        method = scope["method"] if scope["method"] in _METHODS else "other"
        # Set by the router; what no route answers, or a page mounted beside the API, has none.
        template = getattr(scope.get("route"), "path", None) or "other"
        self.requests.labels(method, template, str(status)).inc()
        if not streamed:
            self.seconds.labels(method, template).observe(taken_s)


class MetricsMiddleware:
    """Counts what passes through.

    Args:
        app: What answers.
        metrics: Where it is counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, streamed = time.perf_counter(), 500, False

        async def seen(message: Message) -> None:
            nonlocal status, streamed
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = dict(message.get("headers", ()))
                streamed = headers.get(b"content-type", b"").startswith(b"text/event-stream")
            await send(message)

        try:
            await self._app(scope, receive, seen)
        finally:
            self._metrics.count(scope, status, time.perf_counter() - begun, streamed=streamed)


class _Gauges(Collector):
    """What is looked up when asked for."""

    def __init__(self, ledger: Ledger, feed: Feed, jobs: JobStore, clock: Clock) -> None:
        self._ledger = ledger
        self._feed = feed
        self._jobs = jobs
        self._clock = clock
        self._summary: tuple[float, Summary] | None = None

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Say nothing, so that registering reads no ledger."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the gauges; those of a ledger that cannot be read are left out, and it says it is down."""
        yield _gauge("marketgpt_streams_open", "Streams that are open.", self._feed.num_open)
        yield _gauge("marketgpt_streams_let_go", "Streams ended for being slow.", self._feed.num_let_go)
        try:
            summary, counts = self._counted(), self._jobs.counts()
        except MarketGPTError:
            yield _gauge("marketgpt_ledger_up", "Whether the ledger can be read.", 0)
            return
        yield _gauge("marketgpt_ledger_up", "Whether the ledger can be read.", 1)
        yield _gauge("marketgpt_ledger_signals", "Signals in the ledger.", summary.num_signals)
        yield _gauge("marketgpt_ledger_outcomes", "Outcomes in the ledger.", summary.num_outcomes)
        if summary.newest is not None:
            age = (self._clock.now() - summary.newest.created_at).total_seconds()
            yield _gauge("marketgpt_newest_signal_age_seconds", "Since the newest signal was made.", age)
        jobs = GaugeMetricFamily("marketgpt_backtests", "Backtests asked for, by state.", labels=["status"])
        for status, count in counts.items():
            jobs.add_metric([str(status)], count)
        yield jobs

    def _counted(self) -> Summary:
        now = time.monotonic()
        if self._summary is None or now - self._summary[0] > _KEPT_S:
            self._summary = now, self._ledger.summary()
        return self._summary[1]


def _gauge(name: str, about: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, about, value=value)
