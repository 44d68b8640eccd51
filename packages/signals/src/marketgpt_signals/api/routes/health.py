"""``/v1/health`` and ``/metrics``: how the server and its ledger are."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Response

from marketgpt_signals.api.models import Counts, Health, Live, Ready
from marketgpt_signals.api.problems import described
from marketgpt_signals.api.serving import Serving

_VERSION = version("marketgpt-signals")


def router(serving: Serving) -> APIRouter:
    """Return the routes of health."""
    routes = APIRouter(tags=["health"])

    @routes.get("/v1/health", operation_id="get_health", responses=described(503))
    def get_health() -> Health:
        """Tell whether the ledger can be read, and how old the newest signal is; 503 when it cannot."""
        summary = serving.ledger.summary()
        newest = summary.newest
        now = serving.clock.now()
        return Health(
            status="empty" if newest is None else "ok",
            newest_as_of=None if newest is None else newest.as_of,
            newest_created_at=None if newest is None else newest.created_at,
            age_s=None if newest is None else (now - newest.created_at).total_seconds(),
            schema_version=summary.schema_version,
            counts=Counts(
                signals=summary.num_signals, outcomes=summary.num_outcomes, events=summary.num_events
            ),
            version=_VERSION,
        )

    @routes.get("/v1/health/live", operation_id="get_liveness")
    async def get_liveness() -> Live:
        """Tell that the process answers; nothing is read."""
        return Live(status="live", version=_VERSION)

    @routes.get("/v1/health/ready", operation_id="get_readiness", responses=described(503))
    def get_readiness() -> Ready:
        """Tell that the ledger can be read and its tables are of this version; 503 when not."""
        return Ready(status="ready", schema_version=serving.ledger.check())

    @routes.get(
        "/metrics",
        operation_id="get_metrics",
        response_class=Response,
        responses={200: {"description": "Prometheus text", "content": {"text/plain": {}}}, **described(503)},
    )
    def get_metrics() -> Response:
        """Show counters for Prometheus."""
        content, media_type = serving.metrics.exposed()
        return Response(content, media_type=media_type)

    return routes
