"""The epistemic gate: no signal where the model does not know."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.forecast import Forecast

if TYPE_CHECKING:
    from marketgpt_signals.base import StrategyConfig


def closed_gate(forecast: Forecast, row: int, column: int, config: StrategyConfig) -> str | None:
    """Return why nothing may be said about a row at a horizon, or None when the strategy may judge it.

    Closed when the model's own opinions differ by more than ``max_epistemic_ratio`` times the noise it sees
    (a spread that is not a number closes it too), and, unless ``allow_caveats``, when the forecast says that
    the model never saw the asset, its market or bars of that length.
    """
    epistemic, aleatoric = float(forecast.epistemic[row, column]), float(forecast.aleatoric[row, column])
    if not epistemic <= config.max_epistemic_ratio * aleatoric:
        return (
            f"the model disagrees with itself: epistemic spread {epistemic:.4f}, "
            f"aleatoric {aleatoric:.4f}, at most {config.max_epistemic_ratio:g} times that is allowed"
        )
    caveat = forecast.caveats[row] if forecast.caveats else ""
    if caveat and not config.allow_caveats:
        return f"the model does not know: {caveat}"
    return None
