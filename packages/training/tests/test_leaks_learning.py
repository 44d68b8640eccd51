"""What a small model learns where there is nothing to learn, or nothing beyond a known law.

Each bound is also shown to be crossed by what does leak, or by a law that is worse.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm, t

from marketgpt_core.config import apply_overrides, load_config
from marketgpt_core.forecast import QUANTILE_LEVELS
from marketgpt_core.plugins import registry
from marketgpt_core.symbols import Category
from marketgpt_models.forecaster import load_forecaster
from marketgpt_training.config import TrainConfig
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.evaluation.evaluate import evaluate
from marketgpt_training.evaluation.scores import crps, realised
from marketgpt_training.pipeline import fit, train
from marketgpt_training.preparation import prepare

pytestmark = pytest.mark.slow

LEVELS = np.array(QUANTILE_LEVELS)


def small_config(*overrides):
    values = {
        "seed": 1,
        "horizons": [1, 5],
        "data": {"source": "synthetic"},
        "split": {"train_until": "2016-01-01", "validation_until": "2017-01-01", "embargo_bars": 5},
        "model": {
            "name": "market_gpt",
            "options": {"context": 48, "num_layers": 1, "dim": 32, "num_heads": 2, "dropout": 0.1},
        },
        "engine": {"name": "torch"},
        "optim": {"warmup_steps": 20, "lr": 4e-3},
        "loop": {"batch_size": 32, "max_epochs": 3, "threads": 1},
        "evaluation": {
            "horizons": [1, 5], "every": 5, "num_samples": 50,
            "forecaster": {"mix": "heads", "num_passes": 1},
        },
    }  # fmt: skip
    return load_config(TrainConfig, apply_overrides(values, overrides), where="the test")


def synthetic(law, **options):
    config = {
        "law": law,
        "num_symbols": 30,
        "num_candles": 2_600,
        "category": Category.US,
        "seed": 11,
    } | options
    source = registry("data-source").create("synthetic", config)
    return source, source.fetch(source.symbols())


def truth_forecast(source, made):
    """The law itself, for the pairs of a forecast, one bar ahead."""
    quantiles, p_up = np.empty((len(made), 1, len(LEVELS))), np.empty((len(made), 1))
    for symbol in sorted(set(made.symbols)):
        law = source.truth(symbol)
        mine = np.array([i for i, name in enumerate(made.symbols) if name == symbol])
        rows = np.searchsorted(law.time, made.as_of[mine]) + 1
        rows = np.minimum(rows, len(law.time) - 1)
        nu = law.degrees_of_freedom
        scale = law.sigma[rows] * (np.sqrt((nu - 2) / nu) if nu else 1.0)
        shape = t(nu) if nu else norm()
        quantiles[mine, 0] = law.mean[rows, None] + scale[:, None] * shape.ppf(LEVELS)
        p_up[mine, 0] = shape.sf(-law.mean[rows] / scale)
    return replace(
        made, horizons=np.array([1]), levels=LEVELS, quantiles=quantiles, p_up=p_up,
        aleatoric=np.zeros_like(p_up), epistemic=np.zeros_like(p_up),
    )  # fmt: skip


def one_bar(evaluation, source, candles):
    """Return (mean CRPS over that of the truth, its standard error) one bar ahead."""
    made = evaluation.forecasts["model"]
    outcome = realised(made, candles)[:, :1]
    known = np.isfinite(outcome[:, 0])
    ours = crps(replace_horizon(made), outcome)[known, 0]
    best = crps(truth_forecast(source, made), outcome)[known, 0]
    days, index = np.unique(made.as_of[known], return_inverse=True)
    difference = np.bincount(index, weights=ours - best) / np.bincount(index)
    return ours.mean() / best.mean(), difference.std() / np.sqrt(len(days)) / best.mean()


def replace_horizon(made):
    first = {name: getattr(made, name)[:, :1] for name in ("quantiles", "p_up", "aleatoric", "epistemic")}
    return replace(made, horizons=made.horizons[:1], **first)


def test_on_a_random_walk_nothing_is_learnt(tmp_path):
    """Direction is a coin inside the training window and outside, and the truth's CRPS is not beaten."""
    source, candles = synthetic("random_walk")
    run = train(small_config(), tmp_path / "run", candles=candles)
    forecaster = load_forecaster(run.path, mix="heads", num_passes=1)
    for start, end in (("2012-01-01", "2015-12-01"), ("2017-02-01", None)):
        found = evaluate(forecaster, candles, start=start, end=end, horizons=(1, 5), every=4, num_samples=50)
        for entry in found.results["horizons"].values():
            scores = entry["models"]["model"]
            error = scores["direction_standard_error"]
            assert abs(scores["direction_accuracy"] - 0.5) < 3 * error
            assert entry["models"]["model"]["auc"] == pytest.approx(0.5, abs=6 * error)
        ratio, error = one_bar(found, source, candles)
        assert 1 - 3 * error < ratio < 1.01
        assert found.results["suspicions"] == []


def test_under_a_garch_law_crps_is_within_one_percent_of_the_truths(tmp_path):
    source, candles = synthetic("garch_t", num_symbols=40)
    run = train(
        small_config("loop.max_epochs=5", "model.options.dropout=0.0"), tmp_path / "run", candles=candles
    )
    forecaster = load_forecaster(run.path, mix="heads", num_passes=1)
    found = evaluate(forecaster, candles, start="2017-02-01", horizons=(1, 5), every=4, num_samples=50)
    ratio, error = one_bar(found, source, candles)
    assert 1 - 3 * error < ratio < 1.01
    # The past's own law is worse than that: the bound says something.
    walk = replace(found, forecasts={"model": found.forecasts["random_walk"]})
    assert one_bar(walk, source, candles)[0] > 1.01


class Permuted(WindowDataset):
    """Targets of other times: each channel's by a permutation of its own over all rows."""

    @classmethod
    def of(cls, dataset, seed):
        rng, made = np.random.default_rng(seed), cls.__new__(cls)
        made.__dict__.update(dataset.__dict__)
        made._aims = np.stack([rng.permutation(one) for one in dataset._tokens.T], axis=1)
        made._horizon_z = rng.permutation(dataset._horizon_z)
        return made

    def batch(self, windows, rngs=()):
        made = super().batch(windows, rngs)
        tokens = self._tokens
        try:
            self._tokens = self._aims
            made["targets"] = super().batch(windows)["targets"]
        finally:
            self._tokens = tokens
        return made


class Planted(WindowDataset):
    """The next candle's first channel stands among the inputs."""

    @classmethod
    def of(cls, dataset):
        made = cls.__new__(cls)
        made.__dict__.update(dataset.__dict__)
        made._continuous = dataset._continuous.copy()
        made._continuous[:-1, 0] = dataset._continuous[1:, 0]
        return made


def nats_below_unigram(prepared, tmp_path, name):
    """Return by how much the validation loss of a trained model lies below that of counting tokens."""
    config = small_config("loop.max_epochs=2")
    folder = tmp_path / name
    folder.mkdir()
    result, _ = fit(config, prepared, folder)
    validation, counted = prepared.validation, 0.0
    targets = [
        validation.batch(validation.windows(None)[k : k + 1]) for k in range(len(validation.windows(None)))
    ]
    seen = np.concatenate([one["targets"][one["mask"]].numpy() for one in targets])
    for k, size in enumerate(prepared.spec.vocab_sizes):
        law = np.bincount(prepared.train._tokens[:, k], minlength=size) + 1.0
        counted -= np.log(law / law.sum())[seen[:, k]].mean()
    return counted - result.best_nll


def test_permuted_labels_teach_nothing_and_planted_leaks_are_seen(tmp_path):
    """Without a leak no loss below unigram; with the next gap among the inputs far below, as a leak looks."""
    _, candles = synthetic("garch_t", num_symbols=12)
    prepared = prepare(small_config(), candles)
    permuted = replace(
        prepared, train=Permuted.of(prepared.train, 1), validation=Permuted.of(prepared.validation, 2)
    )
    assert -0.1 < nats_below_unigram(permuted, tmp_path, "permuted") < 0.01
    honest = nats_below_unigram(prepared, tmp_path, "honest")
    planted = replace(prepared, train=Planted.of(prepared.train), validation=Planted.of(prepared.validation))
    assert nats_below_unigram(planted, tmp_path, "planted") > honest + 0.5
