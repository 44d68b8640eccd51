from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from marketgpt_core.errors import ConfigError
from marketgpt_core.signal import Side
from marketgpt_core.testing import make_forecast
from marketgpt_signals.registry import strategies
from marketgpt_signals.testing import CREATED_AT, SignalStrategyConformance


class TestEveryOption(SignalStrategyConformance):
    @pytest.fixture(
        params=[{}, {"horizons": [5, 10]}, {"max_epistemic_ratio": 0.0}, {"round_trip_cost_bps": 0.0}],
        ids=str,
    )
    def implementation(self, request):
        return strategies().create("threshold", request.param)


def decide(p_up: float, median: float, *, epistemic: float = 0.0, **options: float):
    """One signal from a forecast with this P(up), median log return and epistemic spread."""
    plain = make_forecast(["AAA"], as_of=["2016-01-04"], horizons=[5])
    forecast = replace(
        plain,
        p_up=np.array([[p_up]]),
        quantiles=plain.quantiles - plain.quantile(0.5)[..., None] + median,
        aleatoric=np.array([[0.02]]),
        epistemic=np.array([[epistemic]]),
    )
    (signal,) = strategies().create("threshold", options).signals(forecast, created_at=CREATED_AT)
    return signal


@pytest.mark.parametrize(
    ("p_up", "median", "side"),
    [
        (0.55, 0.0015, Side.LONG),  # the threshold itself, a basis point above 14 bps of costs
        (0.5499, 0.0100, Side.FLAT),
        (0.55, 0.0013, Side.FLAT),  # does not pay its costs
        (0.99, -0.0100, Side.FLAT),  # likely up, but the middle of the law is down
        (0.45, -0.0015, Side.SHORT),
        (0.4501, -0.0100, Side.FLAT),
        (0.45, -0.0013, Side.FLAT),
        (0.01, 0.0100, Side.FLAT),
        (0.50, 0.0500, Side.FLAT),
        (1.00, 0.0500, Side.LONG),
        (0.00, -0.0500, Side.SHORT),
    ],
)
def test_sides(p_up, median, side):
    assert decide(p_up, median).side is side


def test_confidence_is_distance_from_a_coin_toss():
    assert decide(0.6, 0.01).confidence == pytest.approx(0.2)
    assert decide(0.4, -0.01).confidence == pytest.approx(0.2)
    assert decide(0.5, 0.0).confidence == 0.0


@pytest.mark.parametrize(("epistemic", "side"), [(0.02, Side.LONG), (0.0201, Side.FLAT), (np.nan, Side.FLAT)])
def test_a_model_that_disagrees_with_itself_abstains(epistemic, side):
    signal = decide(0.8, 0.05, epistemic=epistemic)
    assert signal.side is side
    assert ("disagrees with itself" in signal.reason) is (side is Side.FLAT)


def test_reasons_name_the_numbers():
    assert decide(0.52, 0.01).reason == "P(up) 0.520 is between 0.45 and 0.55"
    assert (
        decide(0.7, 0.001).reason == "P(up) 0.700, median move +10 bps does not beat the round trip's 14 bps"
    )
    assert decide(0.3, -0.01).reason == "P(up) 0.300, median move -100 bps against 14 bps of costs"


def test_options_move_the_thresholds():
    assert decide(0.60, 0.01, long_threshold=0.65).side is Side.FLAT
    assert decide(0.56, 0.01, round_trip_cost_bps=200).side is Side.FLAT
    assert decide(0.56, 0.0001, round_trip_cost_bps=0).side is Side.LONG


@pytest.mark.parametrize(
    "options", [{"long_threshold": 0.5}, {"short_threshold": 0.5}, {"round_trip_cost_bps": -1}, {"nope": 1}]
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(ConfigError, match=next(iter(options))):
        strategies().create("threshold", options)
