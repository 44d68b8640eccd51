import numpy as np
import pytest

from marketgpt_core.forecast import QUANTILE_LEVELS, Forecast
from marketgpt_models.horizon_bins import NUM_BINS, HorizonBins
from marketgpt_models.mixing import HeadLaw, mixed, summary_of_paths, weighted_quantiles

LEVELS = np.asarray(QUANTILE_LEVELS)


@pytest.fixture(scope="module")
def bins():
    return HorizonBins.fit(np.random.default_rng(0).standard_normal((50_000, 1)), (1,))


def law(bins, *probabilities, scale=0.02):
    return HeadLaw(bins, np.stack(probabilities)[:, None, None, :], np.full((1, 1), scale))


FLAT = np.full(NUM_BINS, 1 / NUM_BINS)


def test_paths_are_summarised_as_core_does():
    paths = np.random.default_rng(0).normal(0, 0.02, (3, 40, 2)).cumsum(axis=2)
    ours = summary_of_paths(paths, 4)
    core = Forecast.from_paths(
        paths, symbols="ABC", as_of=np.array(["2020-01-01"] * 3, dtype="datetime64[ns]"),
        close=np.ones(3), horizons=(1, 2), num_passes=4,
    )  # fmt: skip
    for name in ("quantiles", "p_up", "aleatoric", "epistemic"):
        np.testing.assert_allclose(getattr(ours, name), getattr(core, name), err_msg=name)


def test_heads_alone_need_no_samples(bins):
    found = law(bins, FLAT).summary()
    np.testing.assert_allclose(found.quantiles[0, 0, [4, 13, 22]], [-0.0329, 0.0, 0.0329], atol=5e-4)
    assert found.p_up[0, 0] == pytest.approx(0.5, abs=0.01)
    assert found.aleatoric[0, 0] == pytest.approx(0.02, rel=0.02)
    assert found.epistemic[0, 0] == 0.0


def test_passes_that_differ_are_epistemic(bins):
    up, down = np.zeros(NUM_BINS), np.zeros(NUM_BINS)
    up[20], down[11] = 1.0, 1.0
    found = law(bins, up, down).summary()
    means = [bins.moments(one[None, None])[0][0, 0] * 0.02 for one in (up, down)]
    assert found.epistemic[0, 0] == pytest.approx(np.std(means, ddof=1))
    assert found.aleatoric[0, 0] < found.epistemic[0, 0] / 5
    assert found.p_up[0, 0] == pytest.approx(0.5, abs=0.01)


def test_the_mixture_is_of_distributions_not_of_quantiles(bins):
    """Paths all at +10%, heads all near -1%: half the mass lies at each, nothing between."""
    low = np.zeros(NUM_BINS)
    low[8] = 1.0
    found = mixed(np.full((1, 10, 1), 0.1), 1, law(bins, low))
    quantiles = dict(zip(QUANTILE_LEVELS, found.quantiles[0, 0], strict=True))
    assert quantiles[0.45] < 0
    assert quantiles[0.55] > 0.0999
    assert found.p_up[0, 0] == pytest.approx(0.5)


def test_the_mixture_of_a_law_with_itself_is_that_law(bins):
    draws = bins.quantiles(FLAT[None, None], np.random.default_rng(0).random((1, 1, 40_000))) * 0.02
    found = mixed(np.moveaxis(draws, 1, 2), 1, law(bins, FLAT))
    np.testing.assert_allclose(found.quantiles, law(bins, FLAT).summary().quantiles, atol=0.002)


def test_weighted_quantiles_with_equal_weights_are_mid_rank_quantiles():
    values = np.random.default_rng(0).normal(size=(3, 2, 50))
    found = weighted_quantiles(values, np.full(50, 0.3), LEVELS)
    np.testing.assert_allclose(found, np.moveaxis(np.quantile(values, LEVELS, axis=2, method="hazen"), 0, 2))


def test_weights_count():
    values = np.array([[0.0, 1.0]])
    found = weighted_quantiles(values, np.array([3.0, 1.0]), np.array([0.375, 0.875, 0.999]))
    np.testing.assert_allclose(found, [[0.0, 1.0, 1.0]])
