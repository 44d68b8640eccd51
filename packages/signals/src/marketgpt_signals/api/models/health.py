"""How the server and its ledger are."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class Counts(BaseModel):
    """Rows in the ledger."""

    signals: int
    outcomes: int
    events: int


class Health(BaseModel):
    """How the ledger is."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "status": "ok",
                    "newest_as_of": "2026-11-20T00:00:00Z",
                    "newest_created_at": "2026-11-20T21:30:00Z",
                    "age_s": 3600.0,
                    "schema_version": 5,
                    "counts": {"signals": 42, "outcomes": 30, "events": 1},
                    "version": "0.1.0",
                }
            ]
        }
    )

    status: str = Field(description="ok, or empty while nothing was ever said", examples=["ok"])
    newest_as_of: datetime | None
    newest_created_at: datetime | None
    age_s: float | None = Field(description="seconds since the newest signal was made")
    schema_version: int
    counts: Counts
    version: str


class Live(BaseModel):
    """The process answers."""

    status: str = Field(examples=["live"])
    version: str = Field(examples=["0.1.0"])


class Ready(BaseModel):
    """The ledger can be read, and its tables are of this version."""

    status: str = Field(examples=["ready"])
    schema_version: int = Field(examples=[5])
