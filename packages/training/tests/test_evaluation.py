from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm, t

from marketgpt_core.errors import DataError
from marketgpt_core.forecast import QUANTILE_LEVELS, Forecast
from marketgpt_core.testing import make_candles
from marketgpt_training.evaluation.baselines import BASELINES
from marketgpt_training.evaluation.evaluate import as_of_dates, evaluate
from marketgpt_training.evaluation.quantile_law import QuantileLaw
from marketgpt_training.evaluation.scores import crps, pit, realised

HORIZONS = (1, 5, 10)


class KnownLaw:
    """Forecasts the true law of the random walk, or one that is too narrow or too wide."""

    min_history = 1

    def __init__(self, volatility=0.01):
        self.model_id = f"normal-{volatility}"
        self._volatility = volatility

    def forecast(self, candles, *, horizons, as_of=None, num_samples=200, seed=0):
        pairs = [(s, t) for t in as_of for s in candles if candles[s].time[0] <= t]
        rng = np.random.default_rng(seed)
        steps = rng.normal(0, self._volatility, (len(pairs), num_samples, max(horizons)))
        return Forecast.from_paths(
            steps.cumsum(axis=-1),
            horizons=horizons,
            symbols=[s for s, _ in pairs],
            as_of=np.array([t for _, t in pairs]),
            close=np.array([candles[s].until(t).close[-1] for s, t in pairs]),
            model_id=self.model_id,
        )


@pytest.fixture(scope="module")
def walk():
    return make_candles(("AAA", "BBB", "CCC"), num_candles=2_000, seed=5)


@pytest.fixture(scope="module")
def evaluation(walk):
    return evaluate(KnownLaw(), walk, start="2018-01-01", horizons=HORIZONS, every=3, num_samples=400)


def test_crps_of_a_normal_is_the_closed_form():
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 0.02, (1, 200_000, 1))
    made = Forecast.from_samples(
        samples,
        symbols=["A"],
        as_of=np.array(["2020-01-01"], "datetime64[ns]"),
        close=np.array([1.0]),
        horizons=[1],
    )
    for outcome in (-0.05, 0.0, 0.013):
        z = outcome / 0.02
        # Gneiting and Raftery 2007, equation 21.
        exact = 0.02 * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
        assert crps(made, np.array([[outcome]]))[0, 0] == pytest.approx(exact, rel=0.01)


def test_crps_is_least_for_the_truth(walk, evaluation):
    outcome = realised(evaluation.forecasts["model"], walk)
    known = np.isfinite(outcome).all(axis=1)
    scores = {}
    for volatility in (0.006, 0.01, 0.016):
        dates = as_of_dates(walk, "2018-01-01", None, 3)
        other = KnownLaw(volatility).forecast(walk, horizons=HORIZONS, as_of=dates)
        scores[volatility] = crps(other, outcome)[known].mean()
    assert scores[0.01] < scores[0.006]
    assert scores[0.01] < scores[0.016]


def test_the_truth_is_calibrated_and_a_narrow_law_is_not(walk, evaluation):
    for entry in evaluation.results["horizons"].values():
        ours = entry["models"]["model"]
        assert ours["coverage"]["0.90"] == pytest.approx(0.9, abs=0.04)
        assert ours["ece"] < 0.1
    narrow = evaluate(KnownLaw(0.005), walk, start="2018-01-01", horizons=HORIZONS, every=3)
    assert narrow.results["horizons"]["1"]["models"]["model"]["coverage"]["0.90"] < 0.7
    assert narrow.results["horizons"]["1"]["against"]["garch_t"]["low"] > 1


def test_on_a_random_walk_no_baseline_has_direction_skill(evaluation):
    entry = evaluation.results["horizons"]["1"]
    for name, scores in entry["models"].items():
        error = 3 * 0.5 / np.sqrt(scores["count"])
        assert abs(scores["direction_accuracy"] - 0.5) < error, name


def test_every_model_is_scored_on_the_same_pairs(evaluation):
    made = evaluation.forecasts["model"]
    for other in evaluation.forecasts.values():
        assert other.symbols == made.symbols
        np.testing.assert_array_equal(other.as_of, made.as_of)
    assert made.as_of.min() >= np.datetime64("2018-01-01")


def test_realised_is_nan_where_the_data_end(walk):
    last = walk["AAA"].time[-3]
    made = KnownLaw().forecast(walk, horizons=HORIZONS, as_of=[last])
    outcome = realised(made, walk)
    expected = np.log(walk["AAA"].close[-2] / walk["AAA"].close[-3])
    assert outcome[0, 0] == pytest.approx(expected)
    assert np.isnan(outcome[:, 1:]).all()


def test_pit_of_the_truth_is_uniform(walk, evaluation):
    made = evaluation.forecasts["model"]
    outcome = realised(made, walk)[:, 0]
    known = np.isfinite(outcome)
    values = pit(made.quantiles[known, 0], made.levels, outcome[known])
    assert np.abs(np.histogram(values, bins=5, range=(0, 1))[0] / len(values) - 0.2).max() < 0.05


def test_scores_are_json(evaluation):
    json.dumps(evaluation.results, allow_nan=False)
    assert json.loads(json.dumps(evaluation.results)) == evaluation.results


def test_no_date_in_the_range_is_an_error(walk):
    with pytest.raises(DataError, match="no candle from 2050-01-01"):
        as_of_dates(walk, "2050-01-01", None, 1)


LEVELS = np.array(QUANTILE_LEVELS)
EVEN = (np.arange(100_000) + 0.5) / 100_000


def of_quantiles(quantiles, symbols=None):
    """A forecast of one horizon with these quantiles, shape (N, 27)."""
    n = len(quantiles)
    return Forecast(
        symbols=tuple(symbols) if symbols is not None else ("A",) * n,
        as_of=np.datetime64("2020-01-01", "ns") + np.arange(n).astype("timedelta64[D]"),
        close=np.ones(n),
        horizons=np.array([1]),
        levels=LEVELS,
        quantiles=np.asarray(quantiles)[:, None],
        p_up=np.full((n, 1), 0.5),
        aleatoric=np.zeros((n, 1)),
        epistemic=np.zeros((n, 1)),
    )


def test_crps_on_27_levels_is_as_far_below_the_integral_for_every_law():
    """So that a ratio of two is true to 0.04%, as its docstring claims."""
    errors = []
    for law in (norm(), t(8), t(5), t(3)):
        outcome = law.ppf(EVEN)
        made = of_quantiles(np.tile(law.ppf(LEVELS), (len(EVEN), 1)))
        # Of the true law the expected CRPS is the integral of F (1 - F).
        grid = np.sinh(np.linspace(-9, 9, 40_001))
        exact = np.trapezoid(law.cdf(grid) * law.sf(grid), grid)
        errors.append(crps(made, outcome[:, None]).mean() / exact - 1)
    assert np.ptp(errors) < 4e-4
    assert errors == pytest.approx([-0.0027] * 4, abs=3e-4)


@pytest.mark.parametrize("scale", [0.8, 1.0, 1.2])
def test_crps_of_a_wrong_law_is_as_far_below_as_that_of_the_right_one(scale):
    outcome = t(5, scale=np.sqrt(3 / 5)).ppf(EVEN)
    z = outcome / scale
    exact = scale * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))
    made = of_quantiles(np.tile(scale * norm.ppf(LEVELS), (len(EVEN), 1)))
    assert crps(made, outcome[:, None]).mean() / exact.mean() - 1 == pytest.approx(-0.0027, abs=3e-4)


@pytest.mark.parametrize(("law", "loss"), [(norm(), 0.005), (t(5), 0.008), (t(3), 0.011)])
def test_the_density_made_of_quantiles_loses_little_and_is_one(law, loss):
    made = QuantileLaw(np.tile(law.ppf(LEVELS), (len(EVEN), 1)), LEVELS)
    outcome = law.ppf(EVEN)
    assert 0 <= -made.log_density(outcome).mean() - law.entropy() < loss
    grid = np.linspace(-60, 60, 600_001)
    wide = QuantileLaw(np.broadcast_to(made.quantiles[0], (len(grid), 27)), LEVELS)
    assert np.trapezoid(np.exp(wide.log_density(grid)), grid) == pytest.approx(1, abs=2e-3)
    # The cumulative probability is the integral of the density.
    up_to = np.concatenate([[0], np.cumsum(np.exp(wide.log_density(grid))[:-1]) * (grid[1] - grid[0])])
    np.testing.assert_allclose(wide.cdf(grid), up_to, atol=2e-3)


def test_moments_of_the_quantile_law():
    for law, near in ((norm(0.3, 2), 0.02), (t(5, 0.3, 2), 0.03)):
        mean, variance = QuantileLaw(law.ppf(LEVELS)[None], LEVELS).moments()
        assert mean[0] == pytest.approx(0.3, abs=0.01)
        assert variance[0] == pytest.approx(law.var(), rel=near)


def test_quantiles_that_coincide_have_a_finite_density_and_the_middle_of_the_jump():
    quantiles = norm.ppf(LEVELS)
    quantiles[10:17] = 0.0
    law = QuantileLaw(quantiles[None], LEVELS)
    assert np.isfinite(law.log_density(np.zeros(1))).all()
    assert law.cdf(np.zeros(1))[0] == pytest.approx((LEVELS[10] + LEVELS[16]) / 2)
    assert np.isfinite(QuantileLaw(np.zeros((1, 27)), LEVELS).log_density(np.zeros(1))).all()


def test_every_horizon_tells_what_it_should(evaluation):
    for entry in evaluation.results["horizons"].values():
        assert set(entry) == {"models", "against", "volatility", "categories", "quarters"}
        assert set(entry["models"]) == {"model", *BASELINES}
        assert set(entry["against"]) == set(BASELINES)
        assert set(entry["volatility"]["against"]) == {*BASELINES, "log_har"}
        for scores in entry["models"].values():
            assert sum(scores["pit_histogram"]) == scores["count"]
            parts = scores["brier_parts"]
            assert scores["brier"] == pytest.approx(
                parts["reliability"] - parts["resolution"] + parts["uncertainty"] + parts["within_bins"]
            )
            # Without skill a third of the terciles and 4/9 of the ranked score.
            assert scores["tercile_accuracy"] == pytest.approx(1 / 3, abs=0.12)
            assert scores["rank_ic"] is None  # three symbols are no cross-section
        assert sum(row["count"] for row in entry["quarters"]) == entry["models"]["model"]["count"]
        assert set(entry["categories"]) == {"us"}
    assert "tokens" not in evaluation.results


def test_the_truth_is_not_beaten_and_a_wrong_law_is_said_to_lose(walk, evaluation):
    ours = evaluation.results["horizons"]["1"]["against"]
    assert all(one["verdict"] != "worse" for one in ours.values())
    assert all(one["crps_ratio"] == pytest.approx(1, abs=0.02) for one in ours.values())
    wide = evaluate(KnownLaw(0.02), walk, start="2018-01-01", horizons=(1,), every=3).results["horizons"]["1"]
    for one in wide["against"].values():
        assert one["verdict"] == one["nll"]["verdict"] == "worse"
        assert one["dm_t"] > 3
        assert one["dm_p"] < 0.01
    assert {one["verdict"] for one in wide["volatility"]["against"].values()} == {"worse"}


def test_the_truths_nll_is_its_entropy(evaluation):
    entry = evaluation.results["horizons"]["1"]["models"]
    entropy = norm(scale=0.01).entropy()
    # 400 samples pay for their noise: the quantiles they give are not the law's.
    assert entropy < entry["model"]["nll"] < entropy + 0.1
    assert entry["ewma_normal"]["nll_closed"] == pytest.approx(entry["ewma_normal"]["nll"], abs=0.02)
    assert "nll_closed" in entry["garch_t"]
    assert "nll_closed" not in entry["ewma_fhs"]


def test_the_same_seed_gives_the_same_numbers(walk):
    first, again = (
        evaluate(KnownLaw(), walk, start="2019-06-01", horizons=(1, 5), every=5).results for _ in range(2)
    )
    assert first == again


def test_stages_are_told(walk):
    stages = []
    evaluate(KnownLaw(), walk, start="2019-06-01", horizons=(1,), every=5, on_stage=stages.append)
    assert [one for one in stages if one.startswith("baseline garch_t")]
    assert stages[0].startswith("forecast 3 symbols at ")
