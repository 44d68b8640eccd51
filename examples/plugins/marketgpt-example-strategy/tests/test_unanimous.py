from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

pytest.importorskip(
    "marketgpt_example_strategy",
    reason="not installed: pip install ./examples/plugins/marketgpt-example-strategy",
)

from marketgpt_example_strategy.unanimous import Unanimous

from marketgpt_core.errors import ConfigError
from marketgpt_core.signal import Side
from marketgpt_core.testing import make_forecast
from marketgpt_signals import strategies
from marketgpt_signals.testing import SignalStrategyConformance

NOW = datetime(2016, 2, 1, tzinfo=UTC)


class TestUnanimous(SignalStrategyConformance):
    @pytest.fixture
    def implementation(self) -> Unanimous:
        return strategies().create("unanimous")


def sides(p_up: list[float], *, drift: float = 0.01, **options: float) -> list[Side]:
    forecast = make_forecast(["AAA"], as_of=["2016-01-04"], horizons=[1, 5, 10], drift=drift)
    forecast = replace(forecast, p_up=np.array([p_up]))
    made = strategies().create("unanimous", options).signals(forecast, created_at=NOW)
    return [signal.side for signal in made]


def test_all_agree():
    assert sides([0.6, 0.6, 0.6]) == [Side.LONG] * 3
    assert sides([0.4, 0.4, 0.4], drift=-0.01) == [Side.SHORT] * 3


def test_one_disagrees():
    assert sides([0.6, 0.51, 0.6]) == [Side.FLAT] * 3
    assert sides([0.6, 0.51, 0.6], margin=0.01) == [Side.LONG] * 3
    assert sides([0.4, 0.6, 0.4], drift=-0.01) == [Side.FLAT] * 3


def test_a_move_that_does_not_pay():
    assert sides([0.6, 0.6, 0.6], drift=0.001) == [Side.FLAT, Side.LONG, Side.LONG]
    assert sides([0.6, 0.6, 0.6], drift=-0.01) == [Side.FLAT] * 3


def test_it_comes_through_its_entry_point():
    assert strategies().provider("unanimous").distribution == "marketgpt-example-strategy"
    with pytest.raises(ConfigError, match=r"no such key 'margn'.*did you mean 'margin'"):
        strategies().create("unanimous", {"margn": 0.1})
