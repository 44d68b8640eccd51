"""``/v1/bands``: Bollinger Bands of a symbol."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from marketgpt_signals.api.caching import NOT_MODIFIED, CachedRoute
from marketgpt_signals.api.models import BandsAnswer, BandsQuery
from marketgpt_signals.api.problems import described
from marketgpt_signals.api.serving import Serving


def router(serving: Serving) -> APIRouter:
    """Return the route of bands."""
    routes = APIRouter(tags=["market"], route_class=CachedRoute, responses=NOT_MODIFIED)

    @routes.get("/v1/bands", operation_id="get_bands", responses=described(404, 422, 503))
    def get_bands(query: Annotated[BandsQuery, Query()]) -> BandsAnswer:
        """Show the newest Bollinger Bands of 1w, 2w, 1m and 2m of a symbol, and how often they held.

        Classical ones from the candles the server was started with; where its forecasts speak of the symbol,
        also a model's.
        """
        forecast = serving.forecasts.of_symbol(query.symbol)
        return serving.candles.bands(query, forecast)

    return routes
