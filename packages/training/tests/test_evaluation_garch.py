"""GARCH by our own search, held against the package arch and against laws that are known."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from marketgpt_training.evaluation.baselines import garch, garch_fit
from marketgpt_training.evaluation.baselines.base import latin_hypercube
from marketgpt_training.evaluation.baselines.garch_fit import fit_garch, fit_with_arch


def simulated(num_bars, seed, *, alpha=0.07, gamma=0.0, beta=0.91, nu=6.0):
    rng = np.random.default_rng(seed)
    z = rng.standard_t(nu, num_bars) * np.sqrt((nu - 2) / nu)
    returns, variance = np.empty(num_bars), 1.4
    omega = 1.4 * (1 - alpha - gamma / 2 - beta)
    for t in range(num_bars):
        returns[t] = np.sqrt(variance) * z[t]
        variance = omega + (alpha + gamma * (z[t] < 0)) * returns[t] ** 2 + beta * variance
    return returns + 0.04


@pytest.mark.parametrize("size", [5, 6])
def test_the_gradient_is_that_of_the_likelihood(size):
    returns = simulated(700, 0, gamma=0.03)
    for place in ([0.1, 0.2, 2.0, -1.0, 1.0, -0.7], [-0.2, -0.5, 3.5, -3.0, 2.0, 1.0]):
        at = np.array(place[:size])
        numeric = approx_fprime(at, lambda place: garch_fit._loss(place, returns)[0], 1e-6)
        np.testing.assert_allclose(garch_fit._loss(at, returns)[1], numeric, atol=1e-5)


@pytest.mark.parametrize("asymmetric", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_no_likelihood_of_arch_is_higher(seed, asymmetric):
    returns = simulated(1_500, seed, gamma=0.08 * asymmetric, beta=0.88)
    ours, _ = fit_garch(returns, asymmetric=asymmetric)
    theirs = fit_with_arch(returns, asymmetric=asymmetric)
    assert ours.converged
    assert ours.log_likelihood > theirs.log_likelihood - 0.05
    assert ours.persistence == pytest.approx(theirs.persistence, abs=0.02)
    assert ours.freedom == pytest.approx(theirs.freedom, rel=0.1)
    ours_next, theirs_next = (one.variances(returns)[-1] for one in (ours, theirs))
    assert ours_next == pytest.approx(theirs_next, rel=0.03)


def test_the_next_variance_is_the_one_arch_forecasts():
    from arch import arch_model

    returns = simulated(1_200, 7)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = arch_model(returns, vol="GARCH", dist="t", rescale=False).fit(disp="off")
    expected = found.forecast(horizon=1).variance.to_numpy()[-1, 0]
    assert fit_with_arch(returns, asymmetric=False).variances(returns)[-1] == pytest.approx(
        expected, rel=1e-4
    )


def test_the_truth_is_found_in_a_long_series():
    found, _ = fit_garch(simulated(20_000, 1, gamma=0.06, beta=0.88), asymmetric=True)
    assert found.alpha == pytest.approx(0.07, abs=0.02)
    assert found.gamma == pytest.approx(0.06, abs=0.02)
    assert found.beta == pytest.approx(0.88, abs=0.02)
    assert found.freedom == pytest.approx(6.0, abs=0.6)
    assert found.mean == pytest.approx(0.04, abs=0.03)


def test_starting_from_the_last_search_finds_the_same():
    returns = simulated(2_000, 3)
    _, place = fit_garch(returns[:1_940], asymmetric=False)
    cold, _ = fit_garch(returns, asymmetric=False)
    warm, _ = fit_garch(returns, asymmetric=False, start=place)
    assert warm.log_likelihood == pytest.approx(cold.log_likelihood, abs=0.05)


def test_a_price_that_never_moved_is_said_to_have_no_fit():
    found, _ = fit_garch(np.zeros(300), asymmetric=False)
    assert not found.converged
    assert np.isfinite(found.variances(np.zeros(300))).all()


def test_where_the_search_gives_up_arch_is_asked(monkeypatch):
    returns = simulated(600, 5)
    expected = fit_with_arch(returns, asymmetric=False)
    real = garch_fit.minimize

    def giving_up(*arguments, **options):
        found = real(*arguments, **options)
        found.success = False
        return found

    monkeypatch.setattr(garch_fit, "minimize", giving_up)
    found, _ = fit_garch(returns, asymmetric=False)
    assert found == expected


def test_paths_have_the_variance_that_garch_has_in_closed_form():
    """Its mean is h v + (s - v) (1 - p^h) / (1 - p), v the long-run variance (Tsay 2010, section 3.5)."""
    fitted = garch_fit.GarchParameters(0.0, 0.028, 0.07, 0.0, 0.91, 8.0, 0.0, converged=True)
    uniforms = latin_hypercube(21, 4_000, np.random.default_rng(0))
    start = np.array([0.4, 1.4, 5.0])
    quantiles, p_up = garch._paths(fitted, start, [5, 21], uniforms)
    p, v = fitted.persistence, 1.4
    for position, h in enumerate((5, 21)):
        expected = h * v + (start - v) * (1 - p**h) / (1 - p)
        width = (quantiles[:, position, 22] - quantiles[:, position, 4]) * 100  # 95% less 5%
        # Fat tails: within a few percent of the normal's width.
        np.testing.assert_allclose(width / (2 * 1.645), np.sqrt(expected), rtol=0.06)
    np.testing.assert_allclose(p_up, 0.5, atol=0.02)


def test_stratified_paths_carry_less_noise_than_independent_ones():
    rng = np.random.default_rng(0)
    means = {"latin": [], "plain": []}
    for _ in range(60):
        means["latin"].append(latin_hypercube(5, 200, rng).sum(axis=0).mean())
        means["plain"].append(rng.random((5, 200)).sum(axis=0).mean())
    assert np.std(means["latin"]) < 0.1 * np.std(means["plain"])
    levels = latin_hypercube(3, 50, rng)
    np.testing.assert_array_equal(np.sort((levels * 50).astype(int), axis=1), np.tile(np.arange(50), (3, 1)))
