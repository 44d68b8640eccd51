"""Which market a symbol belongs to, as far as core and the installed universes know."""

from __future__ import annotations

from functools import cache
from threading import Lock

from marketgpt_core.errors import MarketGPTError
from marketgpt_core.exchanges import guess_category
from marketgpt_core.symbols import Category
from marketgpt_core.universe import open_universe, universe_names

# Of many requests that come first, one reads the lists.
_READING = Lock()


def market_of(symbol: str) -> Category:
    """Return the market of a symbol: as its shape says, else as the installed universes list it.

    ``BTC-USD`` tells its market; that ``AAPL`` is of the US a universe must say. What none lists is unknown.
    """
    shape = guess_category(symbol)
    if shape is not Category.UNKNOWN:
        return shape
    with _READING:
        return _listed().get(symbol, shape)


@cache
def _listed() -> dict[str, Category]:
    found: dict[str, Category] = {}
    for name in universe_names():
        try:
            listed = open_universe(name).categories
        except MarketGPTError:
            continue  # a universe that does not open makes its symbols unknown, and no request fail
        for symbol, category in listed.items():
            found.setdefault(symbol, category)
    return found
