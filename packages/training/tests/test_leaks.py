"""Leak controls that can fail: each is also run on something that does leak, and must catch it.

What a model learns stands in test_leaks_learning. What is tested elsewhere is not repeated: every variant's
conformance suite demands causal logits, that of tokenizers prefix invariance of tokens; test_pipeline
poisons what is fitted.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from marketgpt_core.candles import as_of_index
from marketgpt_core.config import apply_overrides, load_config
from marketgpt_core.forecast import QUANTILE_LEVELS, Forecast
from marketgpt_core.lookahead import LeakError, assert_no_lookahead
from marketgpt_core.plugins import registry
from marketgpt_core.testing import make_candles
from marketgpt_models.covariates import Covariates
from marketgpt_models.features import features_of_all
from marketgpt_models.forecaster import load_forecaster
from marketgpt_models.testing import example_spec
from marketgpt_training.config import TrainConfig
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.evaluation.evaluate import evaluate
from marketgpt_training.evaluation.leaks import suspicions
from marketgpt_training.pipeline import train
from marketgpt_training.preparation import prepare

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


@pytest.fixture(scope="module")
def walk():
    return make_candles(("AAA", "BBB", "CCC"), num_candles=1_400)


@pytest.fixture(scope="module")
def tiny(walk, tmp_path_factory, tiny_values):
    torch.set_num_threads(1)
    config = load_config(TrainConfig, apply_overrides(tiny_values, ["loop.max_epochs=1"]), where="the test")
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


def test_a_model_with_the_markets_state_does_not_see_other_markets_futures(make_config, tmp_path):
    names = [*(f"{1000 + k}.T" for k in range(12)), *(f"US{k}" for k in range(12))]
    many = make_candles(names, num_candles=1_300)
    config = make_config("loop.max_epochs=1", "covariates=['market']", "split.validation_until=2018-06-01")
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
    from marketgpt_core.lookahead import changed_after

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


def test_the_validation_loss_is_in_eval_mode_and_causal(make_config, walk):
    """Dropout would make it random; a look ahead would let it fall when what follows tells the target."""
    config = make_config("model.options.dropout=0.5")
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
