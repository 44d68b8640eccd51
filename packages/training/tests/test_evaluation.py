from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.stats import norm

from marketgpt_core.candles import Candles, CandleSeries
from marketgpt_core.errors import DataError
from marketgpt_core.forecast import Forecast
from marketgpt_core.testing import make_candles
from marketgpt_training.evaluation.baselines import BASELINES, baseline_forecast
from marketgpt_training.evaluation.bootstrap import ratio_interval
from marketgpt_training.evaluation.evaluate import as_of_dates, evaluate
from marketgpt_training.evaluation.scores import crps, horizon_scores, pit, realised, reliability_bins

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
        other = evaluate(
            KnownLaw(volatility), walk, start="2018-01-01", horizons=HORIZONS, every=3
        ).forecasts["model"]
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


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_baselines_use_nothing_later_than_the_as_of_date(walk, name):
    made = KnownLaw().forecast(walk, horizons=HORIZONS, as_of=[np.datetime64("2019-03-04", "ns")])
    full = baseline_forecast(name, walk, made, num_samples=50, seed=1)
    cut = baseline_forecast(name, walk.until("2019-03-04"), made, num_samples=50, seed=1)
    np.testing.assert_array_equal(full.quantiles, cut.quantiles)
    poisoned = Candles(
        CandleSeries(s.symbol, s.interval, s.time, *(np.where(s.time > made.as_of[0], v * 7.0, v) for v in
                     (s.open, s.high, s.low, s.close)), s.volume)
        for s in walk.values()
    )  # fmt: skip
    other = baseline_forecast(name, poisoned, made, num_samples=50, seed=1)
    np.testing.assert_array_equal(full.quantiles, other.quantiles)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_baselines_are_right_about_a_constant_volatility(walk, name):
    made = KnownLaw().forecast(
        walk, horizons=HORIZONS, as_of=as_of_dates(walk, "2019-01-01", "2020-01-01", 40)
    )
    forecast = baseline_forecast(name, walk, made, num_samples=1_000, seed=1)
    for position, horizon in enumerate(HORIZONS):
        width = (forecast.quantile(0.75) - forecast.quantile(0.25))[:, position].mean()
        assert width == pytest.approx(2 * 0.6745 * 0.01 * np.sqrt(horizon), rel=0.15)


def test_garch_follows_volatility_that_moves():
    rng = np.random.default_rng(2)
    sigma = np.where(np.arange(1_500) % 500 < 250, 0.006, 0.018)
    close = 100 * np.exp(np.cumsum(rng.normal(0, sigma)))
    days = np.busday_offset("2014-01-01", np.arange(1_500)).astype("datetime64[ns]")
    one = CandleSeries("X", make_candles().interval, days, close, close, close, close, np.zeros(1_500))
    candles = Candles([one])
    calm, wild = days[1_000 + 240], days[1_000 + 490]
    made = KnownLaw().forecast(candles, horizons=(1,), as_of=[calm, wild])
    forecast = baseline_forecast("garch_t", candles, made, num_samples=2_000, seed=0)
    widths = (forecast.quantile(0.9) - forecast.quantile(0.1))[:, 0]
    assert widths[1] > 2 * widths[0]


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


def test_reliability_bins_hold_every_forecast():
    rng = np.random.default_rng(0)
    p_up = rng.random(103)
    rows = reliability_bins(p_up, (rng.random(103) < p_up).astype(float))
    assert sum(row["count"] for row in rows) == 103
    assert all(a["forecast"] <= b["forecast"] for a, b in pairwise(rows))


def test_scores_are_json(evaluation):
    import json

    json.dumps(evaluation.results, allow_nan=False)
    made = evaluation.forecasts["model"]
    assert horizon_scores(made, np.full(made.p_up.shape, 0.01), 0)["always_up_accuracy"] == 1.0


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


def test_no_date_in_the_range_is_an_error(walk):
    with pytest.raises(DataError, match="no candle from 2050-01-01"):
        as_of_dates(walk, "2050-01-01", None, 1)


def test_the_random_walks_law_is_that_of_all_returns_known(walk):
    series, rows = walk["AAA"], np.array([700, 300, 301])
    samples = BASELINES["random_walk"](series, rows, [5], 50, np.random.default_rng(0))
    past = np.log(series.close[5:] / series.close[:-5])
    for i, row in enumerate(rows):
        expected = np.quantile(past[: row - 4], (np.arange(50) + 0.5) / 50)
        np.testing.assert_allclose(samples[i, :, 0], expected, rtol=1e-12)
