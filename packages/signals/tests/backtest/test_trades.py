from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.signal import Outcome, Side
from marketgpt_signals.backtest.metrics import wilson_interval
from marketgpt_signals.backtest.trades import trades
from marketgpt_signals.testing import CREATED_AT

LONG, SHORT, FLAT = Side.LONG, Side.SHORT, Side.FLAT


@pytest.fixture
def said(make_signal):
    """One signal and its outcome: (side, net return, was right, size, day)."""

    def make(side, net, *, hit, size=1.0, day=0):
        at = CREATED_AT
        return make_signal(day, side=side, size=size), Outcome(
            "0" * 32, at, at, 1.0, 1.0, 0.0, net, 14.0, hit, True, at
        )

    return make


def measure(pairs, num_resamples=0, mean_block=1):
    return trades(pairs, mean_block=mean_block, num_resamples=num_resamples, seed=0)


def test_by_hand(said):
    found = measure(
        [
            said(LONG, 0.03, hit=True),
            said(LONG, -0.01, hit=False),
            said(SHORT, -0.005, hit=True),
            said(FLAT, 0.0, hit=None),
        ]
    )
    assert (found.num_closed, found.num_flat, found.num_long, found.num_short) == (3, 1, 2, 1)
    assert found.hit_rate == pytest.approx(2 / 3)
    assert found.hit_interval == wilson_interval(2, 3)
    assert (found.precision_long, found.precision_short) == (0.5, 1.0)
    assert found.win_rate == pytest.approx(1 / 3)
    assert found.profit_factor == pytest.approx(2)
    assert found.mean_net_return == pytest.approx(0.005)
    assert found.intervals == {}


def test_money_weighs_by_size_and_statements_do_not(said):
    found = measure([said(LONG, 0.02, hit=True, size=0.25), said(LONG, -0.01, hit=False, size=1.0)])
    assert found.hit_rate == found.precision_long == 0.5
    assert found.win_rate == pytest.approx(0.25 / 1.25)
    assert found.profit_factor == pytest.approx(0.02 * 0.25 / 0.01)
    assert found.mean_net_return == pytest.approx((0.005 - 0.01) / 1.25)


def test_nothing_to_divide_by_is_none(said):
    none = measure([said(FLAT, 0.0, hit=None)], num_resamples=10)
    shares = (
        none.hit_rate, none.precision_long, none.precision_short, none.win_rate, none.profit_factor,
        none.mean_net_return, none.hit_interval,
    )  # fmt: skip
    assert shares == (None,) * 7
    assert none.intervals == {}
    assert measure([said(LONG, 0.1, hit=True)]).profit_factor is None
    assert measure([said(LONG, 0.1, hit=True)]).precision_short is None
    assert measure([]).num_closed == 0


def test_intervals_hold_the_measures_and_grow_where_dates_agree(said):
    """Ten assets that move as one are one statement a date, whatever their number."""
    rng = np.random.default_rng(0)
    dates = rng.random(200) < 0.55
    one = [said(LONG, 0.01 if up else -0.01, hit=bool(up), day=day) for day, up in enumerate(dates)]
    alone, ten = measure(one, 500), measure([pair for pair in one for _ in range(10)], 500)
    assert ten.intervals["hit_rate"] == pytest.approx(alone.intervals["hit_rate"])
    low, high = alone.intervals["hit_rate"]
    wide = wilson_interval(int(dates.sum()), 200)
    assert low < alone.hit_rate < high
    assert high - low == pytest.approx(wide[1] - wide[0], rel=0.15)
    assert ten.hit_interval[1] - ten.hit_interval[0] < 0.4 * (high - low)  # Wilson's believes all of them
    apart = [said(LONG, 0.01, hit=bool(up), day=day) for day in range(200) for up in rng.random(10) < 0.55]
    found = measure(apart, 500)
    assert found.intervals["hit_rate"][1] - found.intervals["hit_rate"][0] < 0.45 * (high - low)


def test_blocks_keep_overlapping_horizons_together(said):
    """The same statement ten dates in a row is a tenth as many statements."""
    rng = np.random.default_rng(1)
    runs = np.repeat(rng.random(60) < 0.5, 10)
    pairs = [said(LONG, 0.0, hit=bool(up), day=day) for day, up in enumerate(runs)]
    short, long = (measure(pairs, 500, mean_block=block).intervals["hit_rate"] for block in (1, 30))
    assert long[1] - long[0] > 2 * (short[1] - short[0])
    assert set(measure(pairs, 50).intervals) == {"hit_rate", "precision_long", "win_rate"} | {
        "mean_net_return"
    }


@pytest.mark.slow
def test_intervals_hold_the_truth_where_horizons_overlap_and_wilsons_do_not(said):
    """LONG at every bar of a random walk for ten bars, three assets that mostly move together."""
    rng = np.random.default_rng(3)
    ours = wilsons = 0
    for _ in range(150):
        common, pairs = rng.normal(size=410), []
        for _ in range(3):
            walk = np.concatenate([[0.0], np.cumsum(common + 0.5 * rng.normal(size=410))])
            moves = walk[10:] - walk[:-10]
            pairs += [
                said(LONG, 0.001 * move, hit=bool(move > 0), day=day) for day, move in enumerate(moves[:400])
            ]
        found = measure(pairs, 200, mean_block=20)
        low, high = found.intervals["hit_rate"]
        ours += low < 0.5 < high
        wilsons += found.hit_interval[0] < 0.5 < found.hit_interval[1]
    assert (
        ours > 0.75 * 150
    )  # blocks of twice the horizon; forty horizons are few, and so it is not quite 90%
    assert wilsons < 0.4 * 150
