"""Every strategy that comes along, through the same suite as a third party's."""

from __future__ import annotations

from collections import Counter

import pytest

from marketgpt_core.signal import Side
from marketgpt_signals.registry import strategies
from marketgpt_signals.testing import (
    CREATED_AT,
    SignalStrategyConformance,
    make_history,
    make_varied_forecast,
)

OURS = [
    ("consensus", {"quorum": 1.0, "weights": {5: 2.0, 10: 1.0}}),
    ("volatility_target", {"target_volatility": 0.02, "max_size": 0.5}),
    ("kelly", {"method": "gaussian", "shrink": 1.0, "fraction": 1.0, "round_trip_cost_bps": 0.0}),
    ("rank", {}),
    ("rank", {"neutral": "volatility", "share": 0.5, "round_trip_cost_bps": 0.0}),
    ("bollinger", {"window": 5, "width": 0.5}),
    ("bollinger", {"mode": "reversion", "window": 20, "width": 0.5}),
]


@pytest.mark.parametrize("implementation", OURS, ids=str, indirect=True)
class TestOurs(SignalStrategyConformance):
    @pytest.fixture
    def implementation(self, request):
        name, options = request.param
        return strategies().create(name, options)

    def test_it_takes_both_sides(self, implementation):
        """Else the suite would have nothing to look at."""
        made = implementation.signals(
            make_varied_forecast(), created_at=CREATED_AT, candles=make_history(implementation.history_bars)
        )
        sides = Counter(signal.side for signal in made)
        assert min(sides[Side.LONG], sides[Side.SHORT], sides[Side.FLAT]) >= 5


@pytest.mark.parametrize("name", [name for name, _ in OURS])
def test_it_comes_like_a_third_partys(name):
    assert strategies().provider(name).distribution == "marketgpt-signals"
    assert strategies().create(name).name == name
