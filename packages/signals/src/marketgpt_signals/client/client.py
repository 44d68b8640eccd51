"""A typed client of the API."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from types import TracebackType
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import BaseModel, ValidationError

from marketgpt_signals.api.models import (
    BacktestRequest,
    BandsAnswer,
    ForecastOut,
    ForecastPage,
    Health,
    JobOut,
    JobPage,
    JobStatus,
    ModelList,
    ModelOut,
    ResolvedOut,
    ResolvedPage,
    SignalOut,
    SignalPage,
)
from marketgpt_signals.client.errors import NoAnswerError, error_of, no_answer
from marketgpt_signals.client.stream import Follower, StreamedSignal, afollow, follow

M = TypeVar("M", bound=BaseModel)
P = TypeVar("P", SignalPage, ResolvedPage, ForecastPage, JobPage)

_OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)


class Client:
    """Asks the API; results are the models it answers with.

    Lists come as iterators over all their pages. Filters are those of the route, by name: ``symbol="AAPL"``,
    ``market="us"``, ``since="2026-01-01"``. Use it as a context manager or call :meth:`close`.

    Args:
        base_url: Of the server: ``http://127.0.0.1:8501``.
        api_key: Sent as ``Authorization: Bearer``.
        timeout_s: For an answer; streams have their own.
        transport: Replaces the network, for tests.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._headers = {} if api_key is None else {"Authorization": f"Bearer {api_key}"}
        self._client = httpx.Client(
            base_url=base_url, headers=self._headers, timeout=timeout_s, transport=transport
        )

    def close(self) -> None:
        """Close its connections."""
        self._client.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def signals(self, **filters: object) -> Iterator[SignalOut]:
        """Yield signals, newest as_of first; see ``GET /v1/signals``."""
        for page in self._pages(SignalPage, "/v1/signals", filters):
            yield from page.items

    def latest(self, **filters: object) -> Iterator[SignalOut]:
        """Yield the latest signals of each symbol and horizon; see ``GET /v1/signals/latest``."""
        for page in self._pages(SignalPage, "/v1/signals/latest", filters):
            yield from page.items

    def signal(self, signal_id: str) -> ResolvedOut:
        """Return a signal and what came of it."""
        return self._get(ResolvedOut, f"/v1/signals/{_segment(signal_id)}")

    def outcomes(self, **filters: object) -> Iterator[ResolvedOut]:
        """Yield resolved signals, newest as_of first; see ``GET /v1/outcomes``."""
        for page in self._pages(ResolvedPage, "/v1/outcomes", filters):
            yield from page.items

    def bands(self, symbol: str, **options: object) -> BandsAnswer:
        """Return a symbol's Bollinger Bands; see ``GET /v1/bands``."""
        return self._get(BandsAnswer, "/v1/bands", {"symbol": symbol, **options})

    def forecasts(self, **filters: object) -> Iterator[ForecastOut]:
        """Yield forecasts, newest as_of first; see ``GET /v1/forecasts``."""
        for page in self._pages(ForecastPage, "/v1/forecasts", filters):
            yield from page.items

    def models(self) -> list[ModelOut]:
        """Return the models that signals are of."""
        return self._get(ModelList, "/v1/models").items

    def model(self, model_id: str) -> ModelOut:
        """Return a model."""
        return self._get(ModelOut, f"/v1/models/{_segment(model_id)}")

    def health(self) -> Health:
        """Return how the server and its ledger are."""
        return self._get(Health, "/v1/health")

    def submit_backtest(self, request: BacktestRequest, *, idempotency_key: str | None = None) -> JobOut:
        """Ask for a backtest; with the same key and request again it is the same job."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        content = request.model_dump_json()
        headers["Content-Type"] = "application/json"
        return self._read(JobOut, self._send("POST", "/v1/backtests", content=content, headers=headers))

    def backtest(self, job_id: str, *, series: bool = False) -> JobOut:
        """Return a backtest; with ``series`` also its values by bar."""
        return self._get(JobOut, f"/v1/backtests/{_segment(job_id)}", {"series": series})

    def backtests(self, **filters: object) -> Iterator[JobOut]:
        """Yield backtests without their results, newest first; see ``GET /v1/backtests``."""
        for page in self._pages(JobPage, "/v1/backtests", filters):
            yield from page.items

    def wait(
        self, job_id: str, *, timeout_s: float = 600.0, every_s: float = 0.5, series: bool = False
    ) -> JobOut:
        """Return a backtest when it is over, whatever came of it: look at its ``status``.

        Raises:
            TimeoutError: when it is not over in time; it goes on.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            job = self.backtest(job_id)
            if job.status not in _OPEN:
                return self.backtest(job_id, series=True) if series else job
            if time.monotonic() > deadline:
                raise TimeoutError(f"backtest {job_id} is still {job.status} after {timeout_s:g} seconds")
            time.sleep(every_s)

    def cancel_backtest(self, job_id: str) -> JobOut:
        """Cancel a backtest that waits or runs."""
        return self._read(JobOut, self._send("DELETE", f"/v1/backtests/{_segment(job_id)}"))

    def stream(self, *, last_event_id: int | None = None, **filters: object) -> Iterator[StreamedSignal]:
        """Yield new signals without end, connecting anew when need be: none is lost, none comes twice.

        Args:
            last_event_id: Go on after this number; 0: from the ledger's first signal; None: from now on.
            filters: See ``GET /v1/stream``.
        """
        return follow(self._client, Follower(_plain(filters), last_event_id))

    async def astream(
        self, *, last_event_id: int | None = None, **filters: object
    ) -> AsyncGenerator[StreamedSignal, None]:
        """Yield new signals as :meth:`stream` does, asynchronously."""
        follower = Follower(_plain(filters), last_event_id)
        async with (
            httpx.AsyncClient(base_url=self._client.base_url, headers=self._headers) as client,
            aclosing(afollow(client, follower)) as found,
        ):
            async for one in found:
                yield one

    def _pages(self, model: type[P], path: str, filters: Mapping[str, object]) -> Iterator[P]:
        query = dict(filters)
        while True:
            page = self._get(model, path, query)
            yield page
            if page.next_cursor is None:
                return
            query["cursor"] = page.next_cursor

    def _get(self, model: type[M], path: str, query: Mapping[str, object] | None = None) -> M:
        return self._read(model, self._send("GET", path, params=_plain(query or {})))

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        try:
            response = self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise no_answer(str(self._client.base_url), error) from error
        if not response.is_success:
            raise error_of(response)
        return response

    def _read(self, model: type[M], response: httpx.Response) -> M:
        try:
            return model.model_validate_json(response.content)
        except ValidationError as error:
            told = f"{response.url} answers with something else than {model.__name__}"
            raise NoAnswerError(told, status=response.status_code, problem={}) from error


def _plain(query: Mapping[str, object]) -> dict[str, Any]:
    """Leave out what is None, and write moments as the API reads them."""
    kept = {name: value for name, value in query.items() if value is not None}
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in kept.items()}


def _segment(text: str) -> str:
    return quote(text, safe="")
