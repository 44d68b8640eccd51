"""Backtests as jobs."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict

from marketgpt_signals.api.models.fields import Cursor, Moment, Question, Symbol
from marketgpt_signals.costs import CostModel

_REQUEST: JsonDict = {
    "horizon_bars": 10,
    "strategy": "threshold",
    "symbols": ["AAPL", "MSFT"],
    "since": "2025-01-01T00:00:00Z",
    "cost": {"fee_bps": 5.0, "slippage_bps": 2.0, "borrow_bps_per_year": 50.0},
}
_JOB: JsonDict = {
    "id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "status": "done",
    "created_at": "2026-11-20T21:30:00Z",
    "started_at": "2026-11-20T21:30:00Z",
    "finished_at": "2026-11-20T21:30:04Z",
    "reason": None,
    "request": _REQUEST,
    "result": {"num_bars": 480, "net": {"sharpe": 0.4}, "costs_paid": 0.012},
    "series": None,
}
_Text = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00]*$")]


class JobStatus(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"


class BacktestRequest(BaseModel):
    """Which signals of the ledger to trade, and how; candles come from the server's source.

    The ledger writes each down as a trial, as it does those of ``marketgpt backtest``.
    """

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_REQUEST]})

    horizon_bars: int = Field(ge=1, le=10_000, description="horizon of the signals; each is held so long")
    strategy: _Text | None = Field(None, description="only this strategy's signals")
    model: _Text | None = Field(None, description="only signals of this model id")
    symbols: list[Symbol] = Field([], max_length=1_000, description="only these; empty: all")
    since: Moment | None = Field(None, description="only as_of at or after this")
    until: Moment | None = Field(None, description="only as_of at or before this")
    cost: CostModel = Field(CostModel(), description="what trading costs")
    num_resamples: int = Field(1_000, ge=0, le=10_000, description="behind the intervals; 0 for none")
    seed: int = Field(0, ge=0, le=2**31 - 1)

    @model_validator(mode="after")
    def _in_order(self) -> BacktestRequest:
        if self.since is not None and self.until is not None and self.since > self.until:
            raise ValueError("since is after until")
        return self


class JobQuery(Question):
    """What ``/v1/backtests`` can be asked."""

    status: JobStatus | None = Field(None, description="only jobs that stand so")
    limit: int = Field(50, ge=1, le=200, description="at most so many")
    cursor: Cursor | None = Field(None, description="next_cursor of the page before")


class JobDetail(Question):
    """What ``/v1/backtests/{id}`` can be asked."""

    series: bool = Field(False, description="also the values by bar, the last 10,000 at most")


class JobOut(BaseModel):
    """A backtest that was asked for."""

    model_config = ConfigDict(json_schema_extra={"examples": [_JOB]})

    id: str
    status: JobStatus
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    reason: str | None = Field(description="why it failed or was interrupted, in one line")
    request: dict[str, Any] = Field(
        description="as it was asked for, defaults included", examples=[_JOB["request"]]
    )
    result: dict[str, Any] | None = Field(
        description="what marketgpt backtest --json prints; null until done", examples=[_JOB["result"]]
    )
    series: dict[str, list[Any]] | None = Field(
        None,
        description="time, equity, gross_equity, benchmark, turnover and costs by bar, when asked for",
        examples=[{"time": ["2026-11-20T00:00:00Z"], "equity": [1.0]}],
    )


class JobPage(BaseModel):
    """Jobs without results, newest first."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"items": [_JOB | {"result": None}], "next_cursor": None}]}
    )

    items: list[JobOut]
    next_cursor: str | None = Field(description="pass it as cursor for the next page; null: no more")
