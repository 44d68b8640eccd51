"""What a model is asked to forecast that it never saw: it does its best, and says so."""

from __future__ import annotations

from collections.abc import Sequence

from marketgpt_core.candles import Candles
from marketgpt_models.base import InputSpec
from marketgpt_models.covariates.market import LEAST_SYMBOLS

_MOST_SHOWN = 5


def caveats_of(spec: InputSpec, candles: Candles, symbols: Sequence[str] | None) -> list[str]:
    """Return lines for a person: strangers, another interval, a market of too few symbols.

    Args:
        spec: What the model was trained on.
        candles: What it is given.
        symbols: What it is asked to forecast; None means all.
    """
    lines = []
    asked = list(candles.symbols) if symbols is None else list(symbols)
    strangers = [symbol for symbol in asked if spec.assets and symbol not in spec.assets]
    if strangers:
        lines.append(f"not in training, forecast as <unk>: {_few(strangers)}")
    markets = {str(candles[symbol].category) for symbol in asked} - set(spec.categories)
    if spec.categories and markets:
        lines.append(f"no symbol of these markets was in training: {_few(sorted(markets))}")
    if spec.interval and spec.interval != str(candles.interval):
        lines.append(
            f"trained on {spec.interval} candles, these are of {candles.interval}: horizons are in bars"
        )
    if "market" in spec.covariates and len(candles) < LEAST_SYMBOLS:
        lines.append(
            f"the state of the market is unknown: it takes {LEAST_SYMBOLS} symbols, there are {len(candles)}"
        )
    return lines


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_SHOWN])
    return shown if len(names) <= _MOST_SHOWN else f"{shown}, ... ({len(names)} in all)"
