"""``/v1/backtests``: backtests as jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Path, Query, Response

from marketgpt_signals.api.caching import NOT_MODIFIED, CachedRoute
from marketgpt_signals.api.cursor import read_cursor, write_cursor
from marketgpt_signals.api.jobs.store import Job
from marketgpt_signals.api.models import BacktestRequest, JobDetail, JobOut, JobPage, JobQuery
from marketgpt_signals.api.problems import NotHereError, UnavailableError, described
from marketgpt_signals.api.serving import Serving

_JobId = Annotated[str, Path(pattern="^[0-9a-f]{32}$", examples=["0f1e2d3c4b5a69788796a5b4c3d2e1f0"])]
_LOCATION = {
    "description": "queued, or found under its Idempotency-Key",
    "headers": {"Location": {"description": "of the job", "schema": {"type": "string"}}},
}


def router(serving: Serving) -> APIRouter:
    """Return the routes of backtests."""
    routes = APIRouter(prefix="/v1/backtests", tags=["backtests"], route_class=CachedRoute)
    runner = serving.runner

    @routes.post(
        "",
        operation_id="submit_backtest",
        status_code=202,
        responses={202: _LOCATION, **described(400, 422, 429, 503)},
    )
    def submit_backtest(
        request: BacktestRequest,
        response: Response,
        idempotency_key: Annotated[
            str | None,
            Header(
                min_length=1,
                max_length=128,
                pattern="^[!-~]+$",
                description="the same key with the same request is the same job",
                examples=["b6a1c9d2-nightly"],
            ),
        ] = None,
    ) -> JobOut:
        """Queue a backtest of the ledger's signals on the server's candles; Location says where to look.

        422 also when the Idempotency-Key came with another request before; 429 when too many wait; 503 also
        when the server was started without candles.
        """
        if runner.source is None:
            raise UnavailableError("this server was started without a source of candles")
        job, _ = runner.store.submit(request.model_dump(mode="json"), idempotency_key, serving.clock.now())
        runner.start()
        response.headers["Location"] = f"/v1/backtests/{job.id}"
        return _shown(job)

    @routes.get("", operation_id="list_backtests", responses={**NOT_MODIFIED, **described(422, 503)})
    def list_backtests(query: Annotated[JobQuery, Query()]) -> JobPage:
        """List jobs without their results, newest first."""
        before = None if query.cursor is None else read_cursor(query.cursor)[1]
        found = runner.store.page(query.status, before=before, limit=query.limit + 1)
        page = found[: query.limit]
        more = len(found) > query.limit
        return JobPage(
            items=[_shown(job) for job in page],
            next_cursor=write_cursor((page[-1].created_at, page[-1].seq)) if more else None,
        )

    @routes.get(
        "/{job_id}", operation_id="get_backtest", responses={**NOT_MODIFIED, **described(404, 422, 503)}
    )
    def get_backtest(job_id: _JobId, query: Annotated[JobDetail, Query()]) -> JobOut:
        """Show a job and, when it is done, what came out."""
        found = runner.store.get(job_id, series=query.series)
        if found is None:
            raise NotHereError(f"no backtest has the id {job_id}")
        return _shown(found)

    @routes.delete("/{job_id}", operation_id="cancel_backtest", responses=described(404, 409, 422, 503))
    def cancel_backtest(job_id: _JobId) -> JobOut:
        """Cancel a job that waits or runs; 409 when it is over."""
        found = runner.cancel(job_id)
        if found is None:
            raise NotHereError(f"no backtest has the id {job_id}")
        return _shown(found)

    return routes


def _shown(job: Job) -> JobOut:
    return JobOut.model_validate(job, from_attributes=True)
