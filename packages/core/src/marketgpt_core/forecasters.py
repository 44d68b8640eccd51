"""Opening a trained run as a forecaster, whoever's it is: through the entry points ``marketgpt.forecasters``.

The package that knows runs (``marketgpt-models``) names there a callable that takes a folder and returns a
:class:`marketgpt_core.forecast.Forecaster`.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import cast

from marketgpt_core.errors import PluginError, hint
from marketgpt_core.forecast import Forecaster

FORECASTERS_GROUP = "marketgpt.forecasters"


def open_forecaster(location: str, *, kind: str = "run") -> Forecaster:
    """Open what forecasts.

    Args:
        location: A run's folder.
        kind: Name of the entry point.

    Raises:
        PluginError: when nothing that can open it is installed, or what is installed is broken. Whatever
            else the opener has to say comes from it.
    """
    points = {point.name: point for point in entry_points(group=FORECASTERS_GROUP)}
    if kind not in points:
        raise PluginError(
            f"nothing installed opens a {kind}: pip install marketgpt-models; {hint(kind, points)}"
        )
    try:
        opener = points[kind].load()
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise PluginError(
            f"the forecaster {kind!r} ({points[kind].value}) cannot be loaded: {reason}"
        ) from error
    return cast("Forecaster", opener(location))
