"""For the tests of plugin authors: readable assertion failures and a few fixtures.

Imported by every pytest run where the core is installed, so it imports nothing heavy at the top.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles
    from marketgpt_core.forecast import Forecast

pytest.register_assert_rewrite(
    "marketgpt_data_sources.universes.testing",
    *(
        f"marketgpt_{package}.testing"
        for package in (
            "core",
            "data_sources",
            "models",
            "monitoring",
            "signals",
            "tokenizer",
            "training",
        )
    ),
)


@pytest.fixture
def make_candles() -> Callable[..., Candles]:
    """Return :func:`marketgpt_core.testing.make_candles`: random-walk candles of a known law."""
    from marketgpt_core.testing import make_candles

    return make_candles


@pytest.fixture
def make_forecast() -> Callable[..., Forecast]:
    """Return :func:`marketgpt_core.testing.make_forecast`: forecasts of a known law."""
    from marketgpt_core.testing import make_forecast

    return make_forecast
