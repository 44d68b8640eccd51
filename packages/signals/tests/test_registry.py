from __future__ import annotations

import pytest

from marketgpt_core.conformance import conformance_class
from marketgpt_core.errors import PluginError
from marketgpt_core.plugins import registry
from marketgpt_signals.registry import strategies
from marketgpt_signals.rules.threshold import ProbabilityThreshold
from marketgpt_signals.testing import SignalStrategyConformance


def test_the_core_finds_the_registry_and_its_suite():
    assert registry("signal-strategy") is strategies()
    assert conformance_class("signal-strategy") is SignalStrategyConformance


def test_threshold_comes_like_a_third_partys():
    assert "threshold" in strategies().names()
    assert strategies().provider("threshold").distribution == "marketgpt-signals"
    assert type(strategies().create("threshold")) is ProbabilityThreshold
    assert ProbabilityThreshold.name == "threshold"


def test_an_unknown_name_gets_a_hint():
    with pytest.raises(PluginError, match="unknown signal-strategy 'treshold'; did you mean 'threshold'"):
        strategies().create("treshold")
