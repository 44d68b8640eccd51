"""The routes. All of them only read."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

from fastapi import FastAPI, HTTPException, Path, Query
from fastapi_offline import FastAPIOffline

from marketgpt_core.clock import Clock, SystemClock
from marketgpt_signals.api.cursor import read_cursor, write_cursor
from marketgpt_signals.api.models import (
    Counts,
    Health,
    OutcomeOut,
    OutcomeQuery,
    ResolvedOut,
    ResolvedPage,
    SignalOut,
    SignalPage,
    SignalQuery,
)
from marketgpt_signals.api.problems import add_handlers, described
from marketgpt_signals.ledger import Ledger

_ABOUT = """\
Signals are statements about one symbol, at one time, for one horizon; they never change. An abstention
(`FLAT`) is a statement too. Lists come newest first and in pages: pass `next_cursor` as `cursor`.
"""


def create_app(ledger: Ledger, *, clock: Clock | None = None, title: str = "MarketGPT signals") -> FastAPI:
    """Return the API over a ledger; mount it, extend it, or serve it with uvicorn.

    ``/docs`` is served from the installed package: it needs no network. Errors are problem+json.

    Args:
        ledger: What to show; it is only read.
        clock: Tells which signals have expired.
        title: Title of the documentation.
    """
    app: FastAPI = FastAPIOffline(
        title=title, version=version("marketgpt-signals"), description=_ABOUT, redoc_url=None
    )
    add_handlers(app)
    clock = clock or SystemClock()
    for add in (_add_signals, _add_outcomes, _add_health):
        add(app, ledger, clock)
    return app


def _add_signals(app: FastAPI, ledger: Ledger, clock: Clock) -> None:
    @app.get("/v1/signals", responses=described(422, 503), tags=["signals"])
    def list_signals(query: Annotated[SignalQuery, Query()]) -> SignalPage:
        """List signals, newest as_of first."""
        after = None if query.cursor is None else read_cursor(query.cursor)
        # One more than asked for tells whether there is a next page.
        found = ledger.signal_page(query.wanted(), after=after, limit=query.limit + 1)
        page, now = found[: query.limit], clock.now()
        more = len(found) > query.limit
        return SignalPage(
            items=[SignalOut.of(signal, now) for _, signal in page],
            next_cursor=write_cursor(page[-1][0]) if more else None,
        )

    @app.get("/v1/signals/{signal_id}", responses=described(404, 422, 503), tags=["signals"])
    def one_signal(signal_id: Annotated[str, Path(pattern="^[0-9a-f]{32}$")]) -> ResolvedOut:
        """Show a signal and, once its horizon has passed, what came of it."""
        found = ledger.get(signal_id)
        if found is None:
            raise HTTPException(404, f"no signal has the id {signal_id}")
        signal, outcome = found
        return ResolvedOut(
            signal=SignalOut.of(signal, clock.now()),
            outcome=None if outcome is None else OutcomeOut.of(outcome),
        )


def _add_outcomes(app: FastAPI, ledger: Ledger, clock: Clock) -> None:
    @app.get("/v1/outcomes", responses=described(422, 503), tags=["signals"])
    def list_outcomes(query: Annotated[OutcomeQuery, Query()]) -> ResolvedPage:
        """List signals whose horizon has passed and what came of them, newest as_of first."""
        after = None if query.cursor is None else read_cursor(query.cursor)
        found = ledger.outcome_page(query.wanted(), after=after, limit=query.limit + 1)
        page, now = found[: query.limit], clock.now()
        more = len(found) > query.limit
        items = [
            ResolvedOut(signal=SignalOut.of(signal, now), outcome=OutcomeOut.of(outcome))
            for _, signal, outcome in page
        ]
        return ResolvedPage(items=items, next_cursor=write_cursor(page[-1][0]) if more else None)


def _add_health(app: FastAPI, ledger: Ledger, clock: Clock) -> None:
    @app.get("/v1/health", responses=described(503), tags=["health"])
    def health() -> Health:
        """Tell whether the ledger can be read, and how old the newest signal is; 503 when it cannot."""
        summary = ledger.summary()
        newest = summary.newest
        return Health(
            status="empty" if newest is None else "ok",
            newest_as_of=None if newest is None else newest.as_of,
            newest_created_at=None if newest is None else newest.created_at,
            age_s=None if newest is None else (clock.now() - newest.created_at).total_seconds(),
            schema_version=summary.schema_version,
            counts=Counts(
                signals=summary.num_signals, outcomes=summary.num_outcomes, events=summary.num_events
            ),
            version=version("marketgpt-signals"),
        )
