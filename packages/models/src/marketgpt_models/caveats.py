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


def row_caveats(spec: InputSpec, candles: Candles, symbols: Sequence[str]) -> tuple[str, ...]:
    """Return what the model never saw of each pair's symbol, "" where all is familiar.

    Only what makes the forecast a guess about strangers; that the state of the market is unknown, training
    has met. None at all when nothing is strange.

    Args:
        spec: What the model was trained on.
        candles: What it is given.
        symbols: length N: the symbol of each pair.
    """

    def strange(symbol: str) -> str:
        found = []
        if spec.assets and symbol not in spec.assets:
            found.append(f"{symbol} was not in training, it is forecast as <unk>")
        if spec.categories and str(candles[symbol].category) not in spec.categories:
            found.append(f"no symbol of the market {candles[symbol].category} was in training")
        if spec.interval and spec.interval != str(candles.interval):
            found.append(f"the model was trained on {spec.interval} candles, not {candles.interval}")
        return "; ".join(found)

    told = {symbol: strange(symbol) for symbol in set(symbols)}
    return tuple(told[symbol] for symbol in symbols) if any(told.values()) else ()


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_SHOWN])
    return shown if len(names) <= _MOST_SHOWN else f"{shown}, ... ({len(names)} in all)"
