"""``/v1/signals``: what was said."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from marketgpt_signals.api.caching import NOT_MODIFIED, CachedRoute
from marketgpt_signals.api.cursor import read_cursor, write_cursor
from marketgpt_signals.api.models import (
    LatestQuery,
    OutcomeOut,
    ResolvedOut,
    SignalOut,
    SignalPage,
    SignalQuery,
)
from marketgpt_signals.api.problems import NotHereError, described
from marketgpt_signals.api.serving import Serving


def router(serving: Serving) -> APIRouter:
    """Return the routes of signals."""
    routes = APIRouter(
        prefix="/v1/signals", tags=["signals"], route_class=CachedRoute, responses=NOT_MODIFIED
    )

    @routes.get("", operation_id="list_signals", responses=described(422, 503))
    def list_signals(query: Annotated[SignalQuery, Query()]) -> SignalPage:
        """List signals, newest as_of first."""
        return _page(serving, query)

    # Before the route of one signal, which would take "latest" for an id.
    @routes.get("/latest", operation_id="latest_signals", responses=described(422, 503))
    def latest_signals(query: Annotated[LatestQuery, Query()]) -> SignalPage:
        """List the signals of the newest as_of of each symbol, interval and horizon.

        The other filters come after: a LONG that has since turned FLAT is no latest LONG.
        """
        return _page(serving, query)

    @routes.get("/{signal_id}", operation_id="get_signal", responses=described(404, 422, 503))
    def get_signal(
        signal_id: Annotated[
            str, Path(pattern="^[0-9a-f]{32}$", examples=["5f0c2a0d9a4b4f6c8e1d2b3a4c5d6e7f"])
        ],
    ) -> ResolvedOut:
        """Show a signal and, once its horizon has passed, what came of it."""
        found = serving.ledger.get(signal_id)
        if found is None:
            raise NotHereError(f"no signal has the id {signal_id}")
        signal, outcome = found
        return ResolvedOut(
            signal=SignalOut.of(signal, serving.clock.now()),
            outcome=None if outcome is None else OutcomeOut.of(outcome),
        )

    return routes


def _page(serving: Serving, query: SignalQuery | LatestQuery) -> SignalPage:
    after = None if query.cursor is None else read_cursor(query.cursor)
    # One more than asked for tells whether there is a next page.
    found = serving.ledger.signal_page(query.wanted(), after=after, limit=query.limit + 1)
    page, now = found[: query.limit], serving.clock.now()
    return SignalPage(
        items=[SignalOut.of(signal, now) for _, signal in page],
        next_cursor=write_cursor(page[-1][0]) if len(found) > query.limit else None,
    )
