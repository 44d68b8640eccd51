"""``/v1/models``: the models that signals are of, and what their evaluation found."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path

from marketgpt_signals.api.caching import NOT_MODIFIED, CachedRoute
from marketgpt_signals.api.models import ModelList, ModelOut
from marketgpt_signals.api.problems import NotHereError, described
from marketgpt_signals.api.serving import Serving
from marketgpt_signals.ledger import Ledger


def router(serving: Serving) -> APIRouter:
    """Return the routes of models."""
    routes = APIRouter(prefix="/v1/models", tags=["models"], route_class=CachedRoute, responses=NOT_MODIFIED)

    @routes.get("", operation_id="list_models", responses=described(422, 503))
    def list_models() -> ModelList:
        """List the models that signals are of, and the runs that were written down."""
        return ModelList(items=_models(serving.ledger))

    @routes.get("/{model_id}", operation_id="get_model", responses=described(404, 422, 503))
    def get_model(
        model_id: Annotated[str, Path(max_length=200, examples=["market_gpt-b0b597593b1483c3"])],
    ) -> ModelOut:
        """Show a model."""
        for one in _models(serving.ledger):
            if one.id == model_id:
                return one
        raise NotHereError("no signal and no run is of this model")

    return routes


def _models(ledger: Ledger) -> list[ModelOut]:
    runs = {run.run_id: run for run in ledger.runs()}
    found = []
    for model_id, first, last in ledger.models():
        # A model's id is the name of its kind and the id of its run.
        run = runs.pop(model_id.rpartition("-")[2], None)
        found.append(
            ModelOut(
                id=model_id,
                run_id=None if run is None else run.run_id,
                first_as_of=first,
                last_as_of=last,
                recorded_at=None if run is None else run.created_at,
                metrics=None if run is None else dict(run.metrics),
            )
        )
    for run in runs.values():
        found.append(  # noqa: PERF401 - read as the loop above
            ModelOut(
                id=run.run_id,
                run_id=run.run_id,
                first_as_of=None,
                last_as_of=None,
                recorded_at=run.created_at,
                metrics=dict(run.metrics),
            )
        )
    return sorted(found, key=lambda one: one.id)
