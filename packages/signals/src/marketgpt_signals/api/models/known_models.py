"""The models that signals are of."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic.config import JsonDict

_MODEL: JsonDict = {
    "id": "market_gpt-b0b597593b1483c3",
    "run_id": "b0b597593b1483c3",
    "first_as_of": "2025-01-02T00:00:00Z",
    "last_as_of": "2026-11-20T00:00:00Z",
    "recorded_at": "2026-11-20T21:30:00Z",
    "metrics": {"nll": 14.8},
}


class ModelOut(BaseModel):
    """A model, and what its evaluation found."""

    model_config = ConfigDict(json_schema_extra={"examples": [_MODEL]}, protected_namespaces=())

    id: str = Field(description="as signals say it; the run's id where no signal is of it")
    run_id: str | None = Field(description="of the run written down with signals generate --run")
    first_as_of: datetime | None = Field(description="of its signals")
    last_as_of: datetime | None
    recorded_at: datetime | None = Field(description="when the run was written down")
    metrics: dict[str, Any] | None = Field(
        description="test results of the run; null when it was not written down",
        examples=[_MODEL["metrics"]],
    )


class ModelList(BaseModel):
    """All models, by id."""

    items: list[ModelOut]
