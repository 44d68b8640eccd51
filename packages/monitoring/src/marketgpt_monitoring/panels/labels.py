"""How panels write horizons and prices."""

from __future__ import annotations

from math import floor, log10

from marketgpt_core.horizons import horizon_name
from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category

_TWO_DECIMALS_FROM = 10.0


def horizon_label(bars: int, interval: Interval, category: Category) -> str:
    """Return ``1m`` for 21 daily bars, ``5 x 1h`` for other intervals."""
    return horizon_name(bars, category) if interval is Interval.DAY else f"{bars} x {interval}"


def price_digits(price: float) -> int:
    """Return the decimals a price is shown with: 2 from 10 on, five significant digits below."""
    return 2 if price >= _TWO_DECIMALS_FROM else min(4 - floor(log10(price)), 10)
