"""Leak controls that can fail: each is also run on something that does leak, and must catch it.

What is tested elsewhere is not repeated: every variant's conformance suite demands causal logits, that of
tokenizers prefix invariance of tokens; test_pipeline poisons what is fitted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm, t

from marketgpt_core.candles import as_of_index
from marketgpt_core.config import apply_overrides, load_config
from marketgpt_core.forecast import QUANTILE_LEVELS, Forecast
from marketgpt_core.plugins import registry
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles
from marketgpt_models.covariates import Covariates
from marketgpt_models.features import features_of_all
from marketgpt_models.forecaster import load_forecaster
from marketgpt_models.testing import example_spec
from marketgpt_training.config import TrainConfig
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.evaluation.evaluate import evaluate
from marketgpt_training.evaluation.leaks import LeakError, assert_no_lookahead, suspicions
from marketgpt_training.evaluation.scores import crps, realised
from marketgpt_training.pipeline import fit, prepare, train

LEVELS = np.array(QUANTILE_LEVELS)
DATES = ("2019-03-04", "2019-06-03")


class Peeking:
    """A normal forecast whose mean is made of one candle's return.

    Args:
        ahead: 0: the symbol's own as-of candle, honest; 1: the next one.
        of: Take it from this symbol, by date; None from each symbol itself.
        strength: Share of the return in the mean.
    """

    model_id, min_history = "peeking", 30

    def __init__(self, ahead=0, of=None, strength=1.0):
        self.ahead, self.of, self.strength = ahead, of, strength

    def forecast(self, candles, *, horizons, as_of=None, num_samples=200, seed=0):
        pairs = [
            (s, candles[s].time[as_of_index(candles[s], d)])
            for d in as_of for s in candles if candles[s].time[self.min_history] <= np.datetime64(d)
        ]  # fmt: skip
        means, scale = np.empty(len(pairs)), np.sqrt(np.array(horizons))
        for i, (symbol, date) in enumerate(pairs):
            close = candles[self.of or symbol].close
            row = min(as_of_index(candles[self.of or symbol], date) + self.ahead, len(close) - 1)
            means[i] = self.strength * np.log(close[row] / close[row - 1])
        quantiles = means[:, None, None] + 0.01 * scale[:, None] * norm.ppf(LEVELS)
        shape = quantiles.shape[:2]
        return Forecast(
            symbols=tuple(s for s, _ in pairs), as_of=np.array([d for _, d in pairs]),
            close=np.ones(len(pairs)),
            horizons=np.array(horizons), levels=LEVELS, quantiles=quantiles,
            p_up=norm.cdf(means[:, None] / (0.01 * scale)), aleatoric=np.full(shape, 0.01),
            epistemic=np.zeros(shape), model_id=self.model_id,
        )  # fmt: skip


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


@pytest.fixture(scope="module")
def walk():
    return make_candles(("AAA", "BBB", "CCC"), num_candles=1_400)


@pytest.fixture(scope="module")
def tiny(walk, tmp_path_factory):
    torch.set_num_threads(1)
    config = small_config(
        "loop.max_epochs=1", "model.options.dim=16", "split.train_until=2018-01-01",
        "split.validation_until=2019-01-01",
    )  # fmt: skip
    return train(config, tmp_path_factory.mktemp("tiny") / "run", candles=walk)


def test_an_honest_forecaster_passes(walk):
    assert_no_lookahead(Peeking(), walk, as_of=DATES)


def test_a_forecaster_that_sees_tomorrow_is_caught(walk):
    with pytest.raises(
        LeakError, match=r"^peeking: quantiles of AAA at 2019-03-04 moves by up to .* not known"
    ):
        assert_no_lookahead(Peeking(ahead=1), walk, as_of=DATES)


def test_a_leak_too_small_for_any_score_is_caught(walk):
    with pytest.raises(LeakError):
        assert_no_lookahead(Peeking(ahead=1, strength=1e-9), walk, as_of=DATES)


def test_tokyos_forecast_with_new_yorks_day_is_caught():
    walk = make_candles(("7203.T", "AAA"), num_candles=1_400)
    honest, leaking = Peeking(of="7203.T"), Peeking(of="AAA")
    # New York may use Tokyo's session of the date, not the other way round.
    assert_no_lookahead(honest, walk, as_of=DATES)
    with pytest.raises(LeakError, match=r"of 7203\.T at 2019-03-04"):
        assert_no_lookahead(leaking, walk, as_of=DATES)


@pytest.mark.parametrize("options", [{"mix": "heads"}, {"mix": "paths", "num_passes": 2}])
def test_past_forecasts_of_a_trained_model_do_not_move_with_the_future(tiny, walk, options):
    assert_no_lookahead(load_forecaster(tiny.path, **options), walk, as_of=DATES)


def test_a_model_with_the_markets_state_does_not_see_other_markets_futures(tmp_path):
    names = [*(f"{1000 + k}.T" for k in range(12)), *(f"US{k}" for k in range(12))]
    many = make_candles(names, num_candles=1_300)
    config = small_config(
        "loop.max_epochs=1", "model.options.dim=16", "covariates=['market']", "split.train_until=2018-01-01",
        "split.validation_until=2018-06-01",
    )  # fmt: skip
    run = train(config, tmp_path / "run", candles=many)
    forecaster = load_forecaster(run.path, mix="heads")
    assert forecaster.reads_market
    assert_no_lookahead(forecaster, many, as_of=("2018-09-03",))


def test_results_too_good_to_be_true_are_said_to_be(walk):
    options = {"start": "2018-01-01", "horizons": (1, 5), "every": 2}
    honest = evaluate(Peeking(), walk, **options).results
    assert honest["suspicions"] == []
    leaking = evaluate(Peeking(ahead=1, strength=0.3), walk, **options).results
    assert leaking["horizons"]["1"]["models"]["model"]["direction_accuracy"] > 0.95
    assert [one.split(" is ")[0] for one in leaking["suspicions"]] == [
        "direction one bar ahead",
        "CRPS one bar ahead",
    ]


def test_55_percent_of_enough_dates_is_a_suspicion_and_of_few_is_not(walk):
    results = evaluate(Peeking(), walk, start="2019-01-01", horizons=(1,), every=5).results
    entry = results["horizons"]["1"]
    scores = entry["models"]["model"]
    for accuracy, error, ups, expected in (
        (0.56, 0.005, 0.53, 1), (0.56, 0.02, 0.53, 0), (0.54, 0.001, 0.50, 0), (0.56, 0.005, 0.56, 0),
        (0.56, 0.005, 0.44, 0), (0.99, None, 0.5, 0),
    ):  # fmt: skip
        scores |= {
            "direction_accuracy": accuracy, "direction_standard_error": error, "always_up_accuracy": ups,
        }  # fmt: skip
        assert len(suspicions(results["horizons"])) == expected
    assert suspicions({}) == []


@pytest.mark.parametrize(("world_size", "batch_size"), [(1, 8), (3, 6), (4, 8), (7, 14)])
def test_every_target_comes_once_an_epoch_for_any_number_of_ranks(walk, world_size, batch_size):
    """Counted by what a target is, not where: rows carry their own number in the continuous inputs."""
    tokenizer = registry("tokenizer").create("ohlc").fit(walk)
    dataset = WindowDataset(
        list(features_of_all(tokenizer, walk, (1, 5), Covariates(())).values()),
        context=32,
        spec=example_spec((1, 5)),
    )
    dataset._continuous = np.tile(np.arange(len(dataset._continuous), dtype=np.float32)[:, None], 7)
    counts = np.zeros(len(dataset._continuous), dtype=int)
    windows = 0
    for rank in range(world_size):
        epoch = dataset.epoch(batch_size, seed=3, epoch=1, rank=rank, world_size=world_size)
        for batch in epoch:
            seen = batch["continuous"][..., 0][batch["mask"]].numpy().astype(int)
            np.add.at(counts, seen, 1)
            windows += len(batch["mask"])
    assert (counts > 0).sum() == dataset.num_targets
    assert counts.max() <= 2
    # Repeated is only what fills the last global batch, fewer windows than there are ranks.
    assert counts.sum() - dataset.num_targets <= (world_size - 1) * dataset.context
    assert windows % world_size == 0


def test_normalisation_and_features_are_causal(walk):
    """Scales, tokens and inputs of the past are those of a world with another future, to the last bit."""
    border = np.datetime64("2018-06-01", "ns")
    tokenizer = registry("tokenizer").create("ohlc").fit(walk.between(None, "2017-01-01"))
    from marketgpt_core.alignment import Aligned
    from marketgpt_training.evaluation.leaks import changed_after

    wild = changed_after(walk, Aligned(walk), border, seed=0)
    for symbol, series in walk.items():
        ours, theirs = tokenizer.encode(series), tokenizer.encode(wild[symbol])
        past = int((ours.time < border).sum())
        for name in ("tokens", "channels", "sigma", "next_sigma", "slow_sigma", "close"):
            np.testing.assert_array_equal(
                getattr(ours, name)[:past], getattr(theirs, name)[:past], err_msg=name
            )
        assert not np.array_equal(ours.tokens[past:], theirs.tokens[past:])
    groups = Covariates(("market", "recurrence", "volume"))
    known, changed = (features_of_all(tokenizer, c, (1, 5), groups) for c in (walk, wild))
    for symbol in walk:
        past = int((known[symbol].time < border).sum())
        np.testing.assert_array_equal(known[symbol].continuous[:past], changed[symbol].continuous[:past])


def test_the_validation_loss_is_in_eval_mode_and_causal(walk, tmp_path):
    """Dropout would make it random; a look ahead would let it fall when what follows tells the target."""
    config = small_config(
        "model.options.dropout=0.5", "split.train_until=2018-01-01", "split.validation_until=2019-01-01"
    )
    prepared = prepare(config, walk)
    engine = registry("training-engine").create("torch", {})
    torch.manual_seed(0)
    module = prepared.variant.build(prepared.spec)
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(0.05 * torch.randn_like(weight))
    engine.prepare(module, config.optim, batch_size=8)
    batch = prepared.validation.batch(prepared.validation.windows(None)[:8])
    engine.train_step(dict(batch), 0.0)  # leaves the module in training mode
    first, again = engine.validate(dict(batch)), engine.validate(dict(batch))
    assert first == again
    half = batch["mask"].shape[1] // 2
    early = dict(batch) | {"mask": batch["mask"].clone(), "horizon_z": batch["horizon_z"].clone()}
    early["mask"][:, half:] = False
    early["horizon_z"][:, half:] = float("nan")
    changed = dict(early)
    for name in ("tokens", "continuous", "calendar"):
        changed[name] = early[name].clone()
        changed[name][:, half:] = changed[name][:, half:].flip(0)
    # Targets up to the half are scored; inputs after it are another's.
    before, after = engine.validate(early), engine.validate(changed)
    assert before["nll"] == pytest.approx(after["nll"], abs=1e-6)
    moved = dict(early) | {"tokens": early["tokens"].clone()}
    moved["tokens"][:, : half - 1] = moved["tokens"][:, : half - 1].flip(0)
    assert engine.validate(moved)["nll"] != pytest.approx(before["nll"], abs=1e-6)


# Below: what a small model learns where there is nothing to learn, or nothing beyond a known law.


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


@pytest.mark.slow
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


@pytest.mark.slow
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

    def batch(self, windows, rng=None):
        made = super().batch(windows, rng)
        tokens = self._tokens
        try:
            self._tokens = self._aims
            made["targets"] = super().batch(windows, None)["targets"]
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


@pytest.mark.slow
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
