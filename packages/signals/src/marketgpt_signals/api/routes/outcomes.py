"""``/v1/outcomes``: what came of what was said."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from marketgpt_signals.api.caching import NOT_MODIFIED, CachedRoute
from marketgpt_signals.api.cursor import read_cursor, write_cursor
from marketgpt_signals.api.models import OutcomeOut, OutcomeQuery, ResolvedOut, ResolvedPage, SignalOut
from marketgpt_signals.api.problems import described
from marketgpt_signals.api.serving import Serving


def router(serving: Serving) -> APIRouter:
    """Return the route of outcomes."""
    routes = APIRouter(tags=["signals"], route_class=CachedRoute, responses=NOT_MODIFIED)

    @routes.get("/v1/outcomes", operation_id="list_outcomes", responses=described(422, 503))
    def list_outcomes(query: Annotated[OutcomeQuery, Query()]) -> ResolvedPage:
        """List signals whose horizon has passed and what came of them, newest as_of first."""
        after = None if query.cursor is None else read_cursor(query.cursor)
        found = serving.ledger.outcome_page(query.wanted(), after=after, limit=query.limit + 1)
        page, now = found[: query.limit], serving.clock.now()
        more = len(found) > query.limit
        items = [
            ResolvedOut(signal=SignalOut.of(signal, now), outcome=OutcomeOut.of(outcome))
            for _, signal, outcome in page
        ]
        return ResolvedPage(items=items, next_cursor=write_cursor(page[-1][0]) if more else None)

    return routes
