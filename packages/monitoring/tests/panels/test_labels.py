from __future__ import annotations

import pytest

from marketgpt_core.interval import Interval
from marketgpt_core.symbols import Category
from marketgpt_monitoring.panels.labels import horizon_label, price_digits


def test_horizons_have_the_names_of_their_market():
    assert horizon_label(21, Interval.DAY, Category.US) == "1m"
    assert horizon_label(7, Interval.DAY, Category.CRYPTO) == "1w"
    assert horizon_label(7, Interval.DAY, Category.US) == "7 bars"
    assert horizon_label(5, Interval.HOUR, Category.US) == "5 x 1h"


@pytest.mark.parametrize(
    ("price", "digits"), [(43_000.0, 2), (100.0, 2), (10.0, 2), (9.99, 4), (1.08, 4), (0.5, 5), (1e-7, 10)]
)
def test_prices_show_what_matters(price, digits):
    assert price_digits(price) == digits
