"""A run's ``forecaster.json``: how its forecasts are made unless somebody says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from marketgpt_core.errors import RunError
from marketgpt_core.files import write_json
from marketgpt_core.run import Run
from marketgpt_models.recalibration import Recalibration

FORECASTER_JSON = "forecaster.json"
FORMAT = 1


def write_forecaster_file(
    folder: Path, options: Mapping[str, Any], recalibration: Recalibration | None
) -> None:
    """Write the options of the run's forecaster and what validation says of its spreads; None: nothing."""
    fitted = None if recalibration is None else recalibration.to_json()
    content = {"format": FORMAT, "options": dict(options), "recalibration": fitted}
    write_json(folder / FORECASTER_JSON, content)


def read_forecaster_file(run: Run) -> tuple[dict[str, Any], Recalibration | None]:
    """Return the options and the recalibration; nothing of either where a run has no such file.

    Raises:
        RunError: when the file is not what training writes.
    """
    if FORECASTER_JSON not in run.manifest["files"]:
        return {}, None
    content, where = run.json(FORECASTER_JSON), str(run.path / FORECASTER_JSON)
    if content.get("format") != FORMAT:
        raise RunError(f"{where} has format {content.get('format')!r}; this version reads {FORMAT}")
    options = content.get("options")
    if not isinstance(options, dict):
        raise RunError(f"{where}: options must be an object")
    fitted = content.get("recalibration")
    return options, None if fitted is None else Recalibration.from_json(fitted, where=where)
