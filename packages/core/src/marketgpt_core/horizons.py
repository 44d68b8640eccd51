"""Names for horizons: 1w, 2w, 1m, 2m, and how many bars they are where markets close at weekends or never."""

from __future__ import annotations

from marketgpt_core.errors import ConfigError, hint
from marketgpt_core.symbols import Category

_SESSION_BARS = {"1d": 1, "1w": 5, "2w": 10, "1m": 21, "2m": 42}
_CALENDAR_BARS = {"1d": 1, "1w": 7, "2w": 14, "1m": 30, "2m": 60}


def _table(category: Category) -> dict[str, int]:
    return _CALENDAR_BARS if category is Category.CRYPTO else _SESSION_BARS


def horizon_bars(name: str, category: Category = Category.UNKNOWN) -> int:
    """Return the daily bars of a named horizon: ``"1m"`` is 21 sessions, 30 days for crypto.

    Raises:
        ConfigError: for an unknown name.
    """
    table = _table(category)
    if name not in table:
        raise ConfigError(f"unknown horizon {name!r}; {hint(name, table)}")
    return table[name]


def horizon_name(bars: int, category: Category = Category.UNKNOWN) -> str:
    """Return the name of a horizon in daily bars, or ``"13 bars"`` where it has none."""
    names = {value: name for name, value in _table(category).items()}
    return names.get(bars, f"{bars} bars")
