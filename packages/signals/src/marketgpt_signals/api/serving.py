"""What the routes of one application share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from marketgpt_core.clock import Clock
from marketgpt_signals.api.candles import CandleShelf
from marketgpt_signals.api.feed import Feed
from marketgpt_signals.api.forecast_file import ForecastFile
from marketgpt_signals.api.jobs.runner import JobRunner
from marketgpt_signals.api.metrics import Metrics
from marketgpt_signals.ledger import Ledger


@dataclass(frozen=True)
class Serving:
    """What the routes of one application share.

    Attributes:
        ledger: What is shown.
        clock: Tells the time.
        candles: Of the source the server was started with.
        forecasts: Of the file the server was started with.
        feed: New signals.
        runner: Backtests.
        metrics: What is counted.
    """

    ledger: Ledger
    clock: Clock
    candles: CandleShelf
    forecasts: ForecastFile
    feed: Feed
    runner: JobRunner
    metrics: Metrics

    @classmethod
    def of(cls, ledger: Ledger, clock: Clock, source: str | None, forecasts: Path | None) -> Serving:
        """Return what an application over a ledger shares."""
        feed, runner = Feed(ledger, clock), JobRunner(ledger.database, source, clock)
        return cls(
            ledger=ledger,
            clock=clock,
            candles=CandleShelf(source),
            forecasts=ForecastFile(forecasts),
            feed=feed,
            runner=runner,
            metrics=Metrics(ledger, feed, runner.store, clock),
        )
