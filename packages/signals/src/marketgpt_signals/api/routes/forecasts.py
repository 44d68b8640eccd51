"""``/v1/forecasts``: what models held likely."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from marketgpt_signals.api.caching import NOT_MODIFIED, CachedRoute
from marketgpt_signals.api.cursor import read_cursor, write_cursor
from marketgpt_signals.api.models import ForecastPage, ForecastQuery
from marketgpt_signals.api.problems import described
from marketgpt_signals.api.serving import Serving


def router(serving: Serving) -> APIRouter:
    """Return the route of forecasts."""
    routes = APIRouter(tags=["market"], route_class=CachedRoute, responses=NOT_MODIFIED)

    @routes.get("/v1/forecasts", operation_id="list_forecasts", responses=described(422, 503))
    def list_forecasts(query: Annotated[ForecastQuery, Query()]) -> ForecastPage:
        """List forecasts, newest as_of first: quantiles of the log return for each horizon.

        503 when the server was started without any.
        """
        after = None if query.cursor is None else read_cursor(query.cursor)
        items, end = serving.forecasts.page(query, after)
        return ForecastPage(items=items, next_cursor=None if end is None else write_cursor(end))

    return routes
