"""Intervals, hits and directions whose answer is known."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import chi2, kstest

from marketgpt_training.evaluation.bootstrap import (
    DateBlocks,
    diebold_mariano,
    newey_west_t,
    ratio_interval,
    verdict,
)
from marketgpt_training.evaluation.coverage import hit_tests
from marketgpt_training.evaluation.cross_section import rank_ic
from marketgpt_training.evaluation.direction import (
    auc,
    beside_always_up,
    brier_parts,
    direction_scores,
    reliability_bins,
)
from marketgpt_training.evaluation.pairs import Pairs
from marketgpt_training.evaluation.scores import kolmogorov_smirnov


def pairs_of(outcome, *, num_symbols=1, horizon=1, every=1, seed=0):
    """Pairs by date, then symbol."""
    num_dates = len(outcome) // num_symbols
    days = np.datetime64("2010-01-01", "ns") + np.arange(num_dates).astype("timedelta64[D]")
    return Pairs(
        horizon=horizon,
        outcome=np.asarray(outcome, dtype=float),
        dates=np.repeat(days, num_symbols),
        symbols=np.tile(np.arange(num_symbols), num_dates),
        categories=np.full(len(outcome), "us"),
        every=every,
        seed=seed,
    )


def test_kupiec_is_the_likelihood_ratio_of_the_paper():
    hits = np.zeros(250, dtype=bool)
    hits[:240:48] = True  # 5 hits of 250 at 1%
    tested = hit_tests(hits, 0.01, pairs_of(np.zeros(250)), clustering=True)
    # Kupiec 1995: LR = -2 ln(.99^245 .01^5) + 2 ln((245/250)^245 (5/250)^5)
    ratio = -2 * (245 * np.log(0.99) + 5 * np.log(0.01)) + 2 * (245 * np.log(245 / 250) + 5 * np.log(5 / 250))
    assert tested["kupiec_p_naive"] == pytest.approx(chi2.sf(ratio, 1))
    assert tested["rate"] == pytest.approx(0.02)
    assert tested["symbols_tested"] == 1


def test_clusters_of_hits_are_noticed():
    rng = np.random.default_rng(0)
    even = rng.random(2_000) < 0.05
    runs = np.repeat(rng.random(400) < 0.05, 5)
    assert hit_tests(even, 0.05, pairs_of(np.zeros(2_000)), clustering=True)["independence_p"] > 0.05
    assert hit_tests(runs, 0.05, pairs_of(np.zeros(2_000)), clustering=True)["independence_p"] < 1e-6


@pytest.mark.parametrize("shared", [0.0, 0.9])
def test_kupiec_keeps_its_size_when_symbols_share_dates(shared):
    """Hits of 20 symbols that mostly come together: taken as independent they would reject far too often."""
    rng = np.random.default_rng(1)
    rejected, naive = 0, 0
    for _ in range(150):
        common = np.repeat(rng.random(200) < 0.1, 20)
        alone = rng.random(4_000) < 0.1
        hits = np.where(rng.random(4_000) < shared, common, alone)
        tested = hit_tests(hits, 0.1, pairs_of(np.zeros(4_000), num_symbols=20))
        rejected += tested["kupiec_p"] < 0.05
        naive += tested["kupiec_p_naive"] < 0.05
    assert rejected <= 18  # 7.5 expected; 19 or more has a probability under 0.1%
    assert naive > 60 if shared else naive <= 18


def test_horizons_that_overlap_are_thinned_for_the_tests_but_not_for_the_rate():
    hits = np.ones(100, dtype=bool)
    hits[::5] = False
    tested = hit_tests(hits, 0.8, pairs_of(np.zeros(100), horizon=5))
    assert tested["rate"] == pytest.approx(0.8)
    # Every fifth date is one that was missed: of 20 apart, none is a hit.
    assert tested["kupiec_p_naive"] == pytest.approx(chi2.sf(-2 * 20 * np.log(0.2), 1))
    assert pairs_of(np.zeros(100), horizon=10, every=5).apart.sum() == 50


def test_reliability_bins_hold_every_forecast():
    rng = np.random.default_rng(0)
    p_up = rng.random(103)
    rows = reliability_bins(p_up, (rng.random(103) < p_up).astype(float))
    assert sum(row["count"] for row in rows) == 103
    assert all(a["forecast"] <= b["forecast"] for a, b in pairwise(rows))


def test_a_calibrated_probability_has_the_ece_of_chance_and_an_overconfident_one_more():
    rng = np.random.default_rng(2)
    p_up = np.clip(rng.normal(0.52, 0.08, 6_000), 0.05, 0.95)
    pairs = pairs_of(np.where(rng.random(6_000) < p_up, 0.01, -0.01), num_symbols=3)
    honest = direction_scores(p_up, pairs)
    boastful = direction_scores(np.clip(0.5 + 3 * (p_up - 0.5), 0, 1), pairs)
    assert honest["ece"] == pytest.approx(honest["ece_floor"], rel=0.6)
    assert boastful["ece"] > 4 * boastful["ece_floor"]
    assert boastful["brier"] > honest["brier"]
    assert boastful["brier_parts"]["reliability"] > 10 * honest["brier_parts"]["reliability"]


def test_murphys_parts_of_a_perfect_and_of_a_constant_forecast():
    is_up = np.array([1.0, 0.0] * 50)
    perfect = brier_parts(is_up, is_up)
    assert perfect["reliability"] == 0
    assert perfect["resolution"] == pytest.approx(perfect["uncertainty"]) == pytest.approx(0.25)
    constant = brier_parts(np.full(100, 0.7), is_up)
    assert constant["resolution"] == pytest.approx(0, abs=1e-12)
    assert constant["reliability"] == pytest.approx(0.04)


def test_auc_is_the_share_of_pairs_in_order():
    p_up, is_up = np.array([0.1, 0.4, 0.4, 0.8, 0.9]), np.array([0.0, 1.0, 0.0, 0.0, 1.0])
    pairs = [(u, d) for u in p_up[is_up > 0] for d in p_up[is_up == 0]]
    assert auc(p_up, is_up) == pytest.approx(np.mean([(u > d) + 0.5 * (u == d) for u, d in pairs]))
    assert auc(p_up, np.ones(5)) is None


def test_mcnemar_sees_only_the_pairs_on_which_the_two_differ():
    is_up = np.array([True] * 60 + [False] * 40)
    said = is_up.copy()
    said[60:68] = True  # of 40 falls, 32 told
    said[:12] = False  # 12 rises missed
    found = beside_always_up(said, is_up, pairs_of(np.where(is_up, 0.1, -0.1)))
    assert found["difference"] == pytest.approx((32 - 12) / 100)
    # Exact two-sided binomial test of 32 of 44.
    assert found["mcnemar_p"] == pytest.approx(0.00366, abs=2e-4)
    always = beside_always_up(np.ones(100, dtype=bool), is_up, pairs_of(np.where(is_up, 0.1, -0.1)))
    assert (always["difference"], always["mcnemar_p"], always["verdict"]) == (0.0, 1.0, "undecided")


def test_rank_ic_of_a_known_correlation_and_none_for_few_symbols():
    rng = np.random.default_rng(3)
    signal = rng.normal(size=50 * 300)
    outcome = 0.1 * signal + rng.normal(size=signal.size)
    found = rank_ic(signal, pairs_of(outcome, num_symbols=50))
    assert found["mean"] == pytest.approx(0.095, abs=0.02)
    assert found["t"] > 6
    assert found["dates"] == 300
    noise = rank_ic(rng.normal(size=signal.size), pairs_of(outcome, num_symbols=50))
    assert abs(noise["t"]) < 3
    assert rank_ic(signal, pairs_of(outcome, num_symbols=15)) is None
    assert rank_ic(np.ones_like(signal), pairs_of(outcome, num_symbols=50)) is None


def test_newey_west_widens_with_autocorrelation():
    rng = np.random.default_rng(4)
    noise = rng.normal(size=4_000)
    smooth = np.convolve(noise, np.ones(10) / 10, mode="valid") + 0.02
    assert abs(newey_west_t(smooth, 20)[1]) < 0.5 * abs(newey_west_t(smooth, 0)[1])
    mean, plain = newey_west_t(noise + 0.05, 0)
    assert plain == pytest.approx(mean / (noise.std() / np.sqrt(4_000)))


@pytest.mark.parametrize("horizon", [1, 5])
def test_diebold_mariano_keeps_its_size_and_sees_a_difference(horizon):
    rng = np.random.default_rng(5)
    rejected = 0
    for _ in range(200):
        moved = np.convolve(rng.normal(size=300 + horizon - 1), np.ones(horizon), mode="valid")
        blocks = pairs_of(np.zeros(300), horizon=horizon).blocks
        rejected += diebold_mariano(moved, np.zeros(300), blocks)["dm_p"] < 0.05
    assert rejected <= 25  # 10 expected
    found = diebold_mariano(moved - 2, np.zeros(300), blocks)
    assert found["dm_t"] < -5
    assert found["dm_p"] < 1e-4


def test_bootstrap_covers_a_known_ratio_and_narrows_with_data():
    rng = np.random.default_rng(0)
    dates = np.arange(np.datetime64("2000-01-01"), np.datetime64("2004-01-01")).astype("datetime64[ns]")
    hits = 0
    for seed in range(60):
        base = rng.gamma(4, 1, len(dates))
        model = base * rng.gamma(50, 0.98 / 50, len(dates))
        ratio, low, high = ratio_interval(model, base, dates, block_dates=3, num_resamples=300, seed=seed)
        assert low <= ratio <= high
        hits += low <= 0.98 <= high
    assert hits >= 46  # 54 expected of 60; below 46 has a probability under 1%


def test_symbols_of_one_date_are_drawn_together():
    dates = np.repeat(
        np.arange(np.datetime64("2000-01-01"), np.datetime64("2000-07-01")).astype("datetime64[ns]"), 20
    )
    by_date = np.random.default_rng(0).gamma(1, 1, len(dates) // 20)
    model = np.repeat(by_date, 20)
    _, low, high = ratio_interval(model, np.ones(len(dates)), dates, block_dates=1)
    alone = np.arange(len(dates)).astype("datetime64[D]").astype("datetime64[ns]")
    _, low_alone, high_alone = ratio_interval(model, np.ones(len(dates)), alone, block_dates=1)
    assert high - low > 3 * (high_alone - low_alone)


def test_every_resample_holds_as_many_dates_as_there_are():
    dates = np.arange(np.datetime64("2000-01-01"), np.datetime64("2000-03-01")).astype("datetime64[ns]")
    blocks = DateBlocks(np.repeat(dates, 2), block_dates=7, num_resamples=50)
    assert blocks.draws.shape == (50, 60)
    np.testing.assert_array_equal(blocks.draws.sum(axis=1), 60)


def test_verdicts():
    assert (verdict(0.9, 0.99), verdict(1.01, 1.2), verdict(0.99, 1.01)) == ("better", "worse", "undecided")
    assert (verdict(-2, -1, even=0), verdict(-1, 1, even=0)) == ("better", "undecided")


def test_kolmogorov_smirnov_is_scipys():
    values = np.random.default_rng(6).beta(1.2, 1, 500)
    assert kolmogorov_smirnov(values) == pytest.approx(kstest(values, "uniform").statistic)
