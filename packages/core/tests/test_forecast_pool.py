from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from marketgpt_core.errors import DataError
from marketgpt_core.forecast import QUANTILE_LEVELS, Forecast
from marketgpt_core.forecast_pool import distribution_at, pooled

LEVELS = np.array(QUANTILE_LEVELS)


def normal(means, sds, model_id="m"):
    means, sds = np.atleast_1d(means).astype(float), np.atleast_1d(sds).astype(float)
    n = len(means)
    return Forecast(
        symbols=tuple(f"S{i}" for i in range(n)),
        as_of=np.full(n, np.datetime64("2024-01-02", "ns")),
        close=np.ones(n),
        horizons=np.array([1]),
        levels=LEVELS,
        quantiles=(means[:, None] + sds[:, None] * norm.ppf(LEVELS))[:, None],
        p_up=norm.cdf(means / sds)[:, None],
        aleatoric=sds[:, None],
        epistemic=np.zeros((n, 1)),
        model_id=model_id,
    )


def test_a_pool_of_equals_is_the_law_itself():
    one = normal([0.0, 0.3], [1.0, 2.0])
    both = pooled([one, one, one], model_id="pool")
    np.testing.assert_allclose(both.quantiles, one.quantiles, atol=1e-9)
    assert np.array_equal(both.p_up, one.p_up)
    assert not both.epistemic.any()
    assert both.model_id == "pool"


def test_the_pool_is_the_mixture_not_the_mean_of_quantiles():
    """Two normal laws apart: their mixture's quantiles, found by bisection on its distribution function."""
    a, b = normal(-1.0, 1.0), normal(1.0, 0.5)
    made = pooled([a, b], model_id="pool").quantiles[0, 0]
    low, high = np.full(len(LEVELS), -9.0), np.full(len(LEVELS), 9.0)
    for _ in range(60):
        middle = (low + high) / 2
        under = (norm.cdf(middle, -1, 1) + norm.cdf(middle, 1, 0.5)) / 2 < LEVELS
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    inner = (LEVELS >= 0.01) & (LEVELS <= 0.99)
    np.testing.assert_allclose(made[inner], low[inner], atol=0.03)
    np.testing.assert_allclose(made, low, atol=0.12)
    assert abs(made[13] - (a.quantiles + b.quantiles)[0, 0, 13] / 2) > 0.1


def test_disagreement_is_epistemic():
    made = pooled([normal(-1.0, 1.0), normal(1.0, 1.0)], model_id="pool")
    assert made.epistemic[0, 0] == pytest.approx(np.sqrt(2.0), rel=1e-6)
    assert made.aleatoric[0, 0] == pytest.approx(1.0)
    assert made.p_up[0, 0] == pytest.approx(0.5)


def test_paths_stand_side_by_side_when_all_have_them():
    one = normal(0.0, 1.0)
    with_paths = replace(one, paths=np.zeros((1, 5, 2)))
    assert pooled([with_paths, with_paths], model_id="p").paths.shape == (1, 10, 2)
    assert pooled([with_paths, one], model_id="p").paths is None


def test_forecasts_of_other_pairs_are_refused():
    one = normal(0.0, 1.0, "a")
    with pytest.raises(DataError, match="a and b cannot be pooled"):
        pooled([one, replace(one, as_of=one.as_of + np.timedelta64(1, "D"), model_id="b")], model_id="p")
    with pytest.raises(DataError, match="no forecast"):
        pooled([], model_id="p")


def test_the_distribution_function_meets_the_quantiles_and_has_tails():
    one = normal(0.0, 1.0).quantiles[:, 0]
    np.testing.assert_allclose(distribution_at(one, LEVELS, one), LEVELS[None], atol=1e-12)
    points = np.array([[-9.0, -3.5, 3.5, 9.0]])
    found = distribution_at(one, LEVELS, points)[0]
    assert 0 < found[0] < found[1] < 0.001
    assert 0.999 < found[2] < found[3] < 1


def test_what_any_member_never_saw_is_a_caveat_of_the_pool():
    a, b = normal([0.0, 0.0], [1.0, 1.0]), normal([0.0, 0.0], [1.0, 1.0])
    assert pooled([a, b], model_id="pool").caveats == ()
    told = replace(a, caveats=("", "x was not in training"))
    assert pooled([told, b, told], model_id="pool").caveats == ("", "x was not in training")
    other = replace(b, caveats=("no such market", "x is new"))
    assert pooled([told, other], model_id="pool").caveats == (
        "no such market",
        "x was not in training; x is new",
    )
    with pytest.raises(DataError, match="caveats has 1 lines for 2 pairs"):
        replace(a, caveats=("one",))
