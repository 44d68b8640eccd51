"""The conformance suite must catch what it is there for: each strategy below breaks one rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from marketgpt_core.signal import Side
from marketgpt_signals.rules.threshold import ProbabilityThreshold
from marketgpt_signals.testing import SignalStrategyConformance


class Peeking(ProbabilityThreshold):
    """Looks at the whole forecast: LONG in the row with the highest probability."""

    def signals(self, forecast, *, created_at):
        best = forecast.p_up.max()
        return [
            replace(s, side=Side.LONG if s.probability == best else Side.FLAT)
            for s in super().signals(forecast, created_at=created_at)
        ]


class Silent(ProbabilityThreshold):
    """Says nothing where it should abstain."""

    def signals(self, forecast, *, created_at):
        return [s for s in super().signals(forecast, created_at=created_at) if s.side is not Side.FLAT]


class Stateful(ProbabilityThreshold):
    """Turns more timid with every row it has seen."""

    seen = 0

    def decide(self, row, column):
        self.seen += 1
        decision = super().decide(row, column)
        return decision if self.seen < 40 else replace(decision, side=Side.FLAT)


class Eager(ProbabilityThreshold):
    """Acts on a coin toss."""

    def decide(self, row, column):
        decision = super().decide(row, column)
        return decision if decision.side is not Side.FLAT else replace(decision, side=Side.LONG)


class Mute(ProbabilityThreshold):
    """Abstains without a reason."""

    def decide(self, row, column):
        return replace(super().decide(row, column), reason="")


class Boastful(ProbabilityThreshold):
    """Reports another probability than was forecast."""

    def signals(self, forecast, *, created_at):
        made = super().signals(forecast, created_at=created_at)
        return [replace(s, probability=min(1.0, s.probability + 0.01)) for s in made]


class Anonymous(ProbabilityThreshold):
    """Signs with another name."""

    def signals(self, forecast, *, created_at):
        return [replace(s, strategy="other") for s in super().signals(forecast, created_at=created_at)]


class Stale(ProbabilityThreshold):
    """Expires before anyone could act."""

    def signals(self, forecast, *, created_at):
        made = super().signals(forecast, created_at=created_at)
        return [replace(s, expires_at=s.as_of - timedelta(hours=1)) for s in made]


class Meddling(ProbabilityThreshold):
    """Writes into the forecast."""

    def signals(self, forecast, *, created_at):
        forecast.close[0] += 1
        return super().signals(forecast, created_at=created_at)


class Repeating(ProbabilityThreshold):
    """Says everything twice."""

    def signals(self, forecast, *, created_at):
        return 2 * super().signals(forecast, created_at=created_at)


@pytest.mark.parametrize(
    ("cls", "requirement"),
    [
        (Peeking, "test_other_rows_do_not_matter"),
        (Peeking, "test_no_lookahead"),
        (Silent, "test_one_signal_for_each_row_and_horizon"),
        (Repeating, "test_one_signal_for_each_row_and_horizon"),
        (Repeating, "test_ids_are_unique"),
        (Stateful, "test_same_forecast_same_signals"),
        (Stateful, "test_order_of_rows_does_not_matter"),
        (Eager, "test_a_coin_toss_is_an_abstention"),
        (Mute, "test_every_side_is_one_of_three_and_an_abstention_says_why"),
        (Boastful, "test_what_is_said_is_what_was_forecast"),
        (Anonymous, "test_it_signs_with_its_name"),
        (Stale, "test_expiry_comes_after_the_bar_it_was_made_on"),
        (Meddling, "test_the_forecast_is_left_as_it_was"),
    ],
)
def test_a_strategy_that_breaks_a_rule_is_caught(cls, requirement):
    check = getattr(SignalStrategyConformance(), requirement)
    check(ProbabilityThreshold(ProbabilityThreshold.Config()))
    with pytest.raises(AssertionError):
        check(cls(ProbabilityThreshold.Config()))
