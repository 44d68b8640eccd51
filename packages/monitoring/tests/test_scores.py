from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketgpt_monitoring.scores import brier, proportion, wilson


def test_brier_losses_and_the_tie():
    losses = brier(np.array([0.6, 0.6, 0.6]), np.array([0.01, -0.01, 0.0]))
    assert losses == pytest.approx([0.16, 0.36, 0.01])


def test_wilson_agrees_with_published_values():
    # Newcombe, Statistics in Medicine 17 (1998), table I: score method, 95%.
    assert wilson(81 / 263, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(15 / 148, 148) == pytest.approx((0.0624, 0.1605), abs=5e-5)
    assert wilson(0.0, 20) == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert wilson(1 / 29, 29) == pytest.approx((0.0061, 0.1718), abs=5e-5)


@given(hits=st.integers(0, 500), more=st.integers(0, 500), confidence=st.floats(0.6, 0.999))
def test_wilson_holds_the_share_and_stays_in_the_unit_interval(hits, more, confidence):
    num = hits + more + 1
    low, high = wilson(hits / num, num, confidence=confidence)
    assert 0.0 <= low <= hits / num <= high <= 1.0


def test_independent_outcomes_count_in_full():
    hits = np.random.default_rng(0).random(4_000) < 0.9
    share = proportion(hits, np.arange(4_000) // 10)
    assert share.num == 4_000
    assert share.num_effective > 3_000


def test_outcomes_that_move_together_count_as_one():
    days = np.random.default_rng(0).random(200) < 0.9
    share = proportion(np.repeat(days, 50), np.repeat(np.arange(200), 50))
    assert share.num == 10_000
    assert share.num_effective == pytest.approx(200, rel=0.05)
    assert (share.low, share.high) == pytest.approx(wilson(share.value, 200), abs=2e-3)


def test_few_blocks_are_held_fully_dependent():
    share = proportion(np.arange(100) % 4 > 0, np.repeat(np.arange(5), 20))
    assert (share.value, share.num_effective) == (0.75, 5)
    assert not share.excludes(0.35)
    assert share.excludes(0.33)


def test_no_outcomes_no_proportion():
    assert proportion(np.array([], dtype=bool), np.array([], dtype=int)) is None


def test_the_interval_holds_what_it_promises_on_overlapping_dependent_outcomes():
    """Twenty symbols that share a factor, five-day horizons every day: the naive interval does not."""
    rng = np.random.default_rng(1)
    days, symbols, horizon = 500, 20, 5
    held = naive = 0
    for _ in range(60):
        common = rng.standard_normal((days + horizon, 1))
        steps = np.sqrt(0.3) * common + np.sqrt(0.7) * rng.standard_normal((days + horizon, symbols))
        path = np.vstack([np.zeros((1, symbols)), np.cumsum(steps, axis=0)])
        change = path[horizon : horizon + days] - path[:days]
        inside = (np.abs(change) < 1.6448536 * np.sqrt(horizon)).ravel()
        day = np.repeat(np.arange(days), symbols)
        held += not proportion(inside, day // horizon).excludes(0.9)
        naive += not proportion(inside, np.arange(len(inside))).excludes(0.9)
    assert held >= 52  # 95% of 60 is 57
    assert naive <= 45
