import json

import numpy as np
import pytest

from marketgpt_core import DataError
from marketgpt_models.horizon_bins import NUM_BINS, HorizonBins


@pytest.fixture(scope="module")
def z():
    rng = np.random.default_rng(0)
    z = rng.standard_t(4, (20_000, 2)) * [1.0, 2.0]
    z[:50, 1] = np.nan
    return z


@pytest.fixture(scope="module")
def bins(z):
    return HorizonBins.fit(z, (1, 5))


UNIFORM = np.full((1, 2, NUM_BINS), 1 / NUM_BINS)


def test_bins_hold_equal_shares(z, bins):
    ids = bins.encode(z)
    shares = np.stack([np.bincount(ids[ids[:, h] >= 0, h], minlength=NUM_BINS) for h in range(2)])
    assert (ids[:50, 1] == -1).all()
    assert np.abs(shares / shares.sum(axis=1, keepdims=True) - 1 / NUM_BINS).max() < 1e-3


def test_encode_agrees_with_the_edges(bins):
    edge = bins.edges[0, 4]
    at, below = bins.encode(np.array([[edge, 0.0], [np.nextafter(edge, -np.inf), 0.0]]))[:, 0]
    assert (at, below) == (5, 4)


def test_uniform_probabilities_give_the_training_law_back(z, bins):
    levels = np.array([0.001, 0.01, 0.25, 0.5, 0.75, 0.99, 0.999])
    found = bins.quantiles(UNIFORM, np.broadcast_to(levels, (1, 2, 7)))[0]
    expected = np.nanquantile(z, levels, axis=0).T
    np.testing.assert_allclose(found, expected, rtol=0.03, atol=0.02)


def test_draws_have_the_promised_moments_and_cdf(bins):
    rng = np.random.default_rng(1)
    p = rng.dirichlet(np.ones(NUM_BINS), (1, 2))
    draws = bins.quantiles(p, rng.random((1, 2, 200_000)))
    mean, variance = bins.moments(p)
    np.testing.assert_allclose(draws.mean(axis=-1), mean, atol=0.03)
    np.testing.assert_allclose(draws.var(axis=-1), variance, rtol=0.06)
    for at in (-1.5, 0.0, 0.7):
        np.testing.assert_allclose((draws <= at).mean(axis=-1), bins.cdf(p, at), atol=0.005)


def test_quantiles_invert_the_cdf(bins):
    p = np.random.default_rng(2).dirichlet(np.ones(NUM_BINS), (1, 2))
    for level in (0.03, 0.4, 0.97):
        found = bins.quantiles(p, np.full((1, 2, 1), level))
        for h in range(2):
            assert bins.cdf(p, found[0, h, 0])[0, h] == pytest.approx(level, abs=1e-9)


def test_quantiles_rise_with_the_level_and_reach_no_further_than_the_data(z, bins):
    p = np.random.default_rng(3).dirichlet(np.full(NUM_BINS, 0.1), (5, 2))
    found = bins.quantiles(p, np.broadcast_to(np.linspace(0, 1, 501), (5, 2, 501)))
    assert (np.diff(found, axis=-1) >= 0).all()
    assert found[:, 0].min() >= z[:, 0].min()
    assert found[:, 0].max() <= z[:, 0].max()


def test_all_mass_in_one_bin_stays_there(bins):
    p = np.zeros((1, 2, NUM_BINS))
    p[..., 7] = 1.0
    found = bins.quantiles(p, np.broadcast_to(np.linspace(0, 1, 11), (1, 2, 11)))
    for h in range(2):
        assert found[0, h, 0] == pytest.approx(bins.edges[h, 6])
        assert found[0, h, -1] == pytest.approx(bins.edges[h, 7])


def test_an_atom_counts_half_as_below():
    z = np.concatenate([np.zeros(500), np.linspace(-1, 1, 501)])[:, None]
    assert HorizonBins.fit(z, (1,)).cdf(UNIFORM[:, :1], 0.0)[0, 0] == pytest.approx(0.5, abs=0.02)


def test_json_gives_exactly_the_same_bins_back(bins):
    again = HorizonBins.from_json(json.loads(json.dumps(bins.to_json())))
    assert again.horizons == bins.horizons
    assert np.array_equal(again.knots, bins.knots)


def test_too_few_targets_are_refused():
    with pytest.raises(DataError, match=r"horizon 42 has 10 targets.*at least 32"):
        HorizonBins.fit(np.r_[np.zeros(10), np.full(90, np.nan)][:, None], (42,))


@pytest.mark.parametrize(
    "broken",
    [{}, {"horizons": [1], "knots": "x"}, {"horizons": [1], "knots": [[1.0]]}, {"horizons": 3, "knots": []}],
)
def test_other_json_is_refused(broken):
    with pytest.raises(DataError):
        HorizonBins.from_json(broken)


def test_knots_that_fall_are_refused(bins):
    with pytest.raises(DataError, match="decrease"):
        HorizonBins((1, 5), bins.knots[:, ::-1])
