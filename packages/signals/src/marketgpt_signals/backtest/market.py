"""The market's own benchmark: SPY, QQQ, GLD ..., bought and held over the same bars at the same costs."""

from __future__ import annotations

from collections.abc import Sequence

from marketgpt_core.candles import Candles
from marketgpt_core.errors import DataError
from marketgpt_core.exchanges import exchange_of
from marketgpt_core.symbols import Category, check_symbol
from marketgpt_core.universe import open_universe, universe_names
from marketgpt_signals.candle_source import fetch_what_there_is

# Of symbols no universe lists, by what their shape tells.
_BY_SHAPE = {
    Category.UNKNOWN: "SPY",  # no mark: an American share or fund
    Category.US: "SPY",
    Category.ETF: "SPY",
    Category.EU: "VGK",
    Category.EM: "EEM",
    Category.COMMODITY: "GLD",
    Category.CRYPTO: "BTC-USD",
}


def benchmarks_of(symbols: Sequence[str]) -> tuple[str, ...]:
    """Return what the markets of some symbols are measured against, each once, in the symbols' order.

    A symbol that is the benchmark of a universe is its own; another takes that of the smallest installed
    universe that lists it; one that no universe lists takes one by its
    shape, or none: currencies and indices.
    """
    listed = _universes()
    own = {benchmark for _, benchmark in listed}
    chosen: list[str] = []
    for symbol in symbols:
        found = symbol if symbol in own else next((b for held, b in listed if symbol in held), None)
        found = found or _BY_SHAPE.get(exchange_of(symbol).category)
        if found is not None and found not in chosen:
            chosen.append(found)
    return tuple(chosen)


def fetch_benchmarks(source: str, candles: Candles, asked: Sequence[str]) -> tuple[Candles, list[str]]:
    """Fetch the candles of what some symbols are held against.

    Args:
        source: See :func:`marketgpt_signals.candle_source.fetch_candles`.
        candles: Of the symbols traded; what is among them is not fetched again.
        asked: The benchmarks asked for; those of the symbols' markets when none are.

    Returns:
        (candles, missing): one line for each of the markets' benchmarks that the source does not have.

    Raises:
        DataError: when one that was asked for is not there, or is no symbol.
    """
    chosen = [check_symbol(symbol, where="--benchmark") for symbol in asked]
    wanted = list(dict.fromkeys(chosen or benchmarks_of(candles.symbols)))
    others = [symbol for symbol in wanted if symbol not in candles]
    fetched, gone, unreached = fetch_what_there_is(source, others, candles.interval)
    absent = gone | unreached
    for symbol in asked:
        if symbol in absent:
            raise DataError(f"no candles of the benchmark {symbol}: {absent[symbol]}")
    there = [
        candles[symbol] if symbol in candles else fetched[symbol] for symbol in wanted if symbol not in absent
    ]
    missing = [f"{symbol}: no benchmark of the market: {why}" for symbol, why in absent.items()]
    return Candles(there, interval=candles.interval), missing


def _universes() -> list[tuple[frozenset[str], str]]:
    """Return (symbols, benchmark) of the installed universes, the smallest first."""
    opened = [open_universe(name) for name in universe_names()]
    found = [(frozenset(one.symbols), one.benchmark) for one in opened if one.benchmark is not None]
    return sorted(found, key=lambda pair: (len(pair[0]), pair[1]))
