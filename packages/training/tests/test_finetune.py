"""Fine-tuning from a base's folder to a run that is better, or is the base."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from marketgpt_core.candles import Candles
from marketgpt_core.config import apply_overrides, load_config
from marketgpt_core.errors import ConfigError, DataError, RunError
from marketgpt_core.run import Run
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles
from marketgpt_models import load_forecaster
from marketgpt_training.config import FinetuneConfig, TrainConfig
from marketgpt_training.evaluation.of_run import evaluate_run
from marketgpt_training.finetuning.outcome import FINETUNE_FILE, verdict_of
from marketgpt_training.finetuning.settings import finetune_config
from marketgpt_training.pipeline import train
from marketgpt_training.preparation import prepare
from marketgpt_training.splits import choosing_end, deciding_start, split_dates

MODEL = (
    "model.options={context=16,num_layers=1,dim=16,num_heads=2,dropout=0.0}",
    "split.train_until=2018-01-01",
    "split.validation_until=2019-06-01",
    "evaluation.forecaster={mix='heads',num_passes=1}",
    "loop.max_epochs=1",
    "evaluation.every=5",
)


def _without_gaps(candles):
    """Coins: each candle opens where the one before closed, so its first token is always the same."""
    made = []
    for one in candles.values():
        opened = np.concatenate([one.open[:1], one.close[:-1]])
        made.append(
            replace(one, open=opened, high=np.maximum(one.high, opened), low=np.minimum(one.low, opened))
        )
    return made


@pytest.fixture(scope="module")
def market():
    us = make_candles(("AAA", "BBB"), num_candles=1_450)
    coins = make_candles(("CCC-USD", "DDD-USD"), num_candles=1_450, category=Category.CRYPTO, seed=1)
    return Candles([*us.values(), *_without_gaps(coins)])


@pytest.fixture(scope="module")
def base(tmp_path_factory, market, tiny_values):
    torch.set_num_threads(1)
    us = Candles(one for one in market.values() if one.category is Category.US)
    config = load_config(TrainConfig, apply_overrides(tiny_values, MODEL), where="the test")
    return train(config, tmp_path_factory.mktemp("base") / "run", candles=us).path


def _config(base, *overrides, method="full", market="crypto"):
    given = ("loop.max_steps=20", "finetune.accept_on=nll", "optim.lr=0.01", *overrides)
    return finetune_config(base, market=market, method=method, overrides=given)


@pytest.fixture(scope="module")
def accepted(tmp_path_factory, base, market):
    return train(_config(base), tmp_path_factory.mktemp("accepted") / "run", candles=market)


def _forecast(path, candles):
    return load_forecaster(path).forecast(candles, horizons=(1, 5)).quantiles


def test_what_is_better_where_neither_was_chosen_is_kept(accepted, base, market):
    outcome = accepted.json(FINETUNE_FILE)
    assert outcome["accepted"]
    assert outcome["base"]["id"] == Run.open(base).id
    nll = outcome["decided_on"]["nll"]
    assert nll["high"] < 0
    assert nll["difference"] == pytest.approx(nll["model"] - nll["base"])
    assert "judged on nll: better" in outcome["reason"]
    assert accepted.id != Run.open(base).id
    assert not (accepted.path / "candidate").exists()
    # It is a run like any other: plain weights, the base's tokenizer.
    assert (accepted.path / "tokenizer.json").read_bytes() == (base / "tokenizer.json").read_bytes()
    assert not np.array_equal(_forecast(accepted.path, market), _forecast(base, market))
    assert "Fine-tuned for crypto (full)" in (accepted.path / "model_card.md").read_text(encoding="utf-8")


def test_a_symbol_that_begins_after_the_decision_has_no_say(base, market, tmp_path, accepted):
    late = next(iter(_without_gaps(make_candles(("EEE-USD",), num_candles=200, start="2019-07-01", seed=5))))
    more = Candles([*market.values(), replace(late, category=Category.CRYPTO)])
    run = train(_config(base), tmp_path / "run", candles=more)
    told, before = (one.json(FINETUNE_FILE)["decided_on"] for one in (run, accepted))
    assert told["symbols"] == 2
    assert told["crps"]["ratio"] == pytest.approx(before["crps"]["ratio"], rel=0.05)


def test_what_is_hardly_better_is_refused_and_the_base_stays(base, market, tmp_path):
    run = train(_config(base, "optim.lr=1e-9"), tmp_path / "run", candles=market)
    outcome = run.json(FINETUNE_FILE)
    assert not outcome["accepted"]
    assert "better, but by less than 0.1%" in outcome["reason"]
    assert run.id == Run.open(base).id
    np.testing.assert_array_equal(_forecast(run.path, market), _forecast(base, market))
    # Nothing is lost: what was learned can be looked at.
    assert load_forecaster(run.path / "candidate").forecast(market, horizons=(1,))
    assert "refused: this is the base" in (run.path / "model_card.md").read_text(encoding="utf-8")


def test_what_decides_chooses_nothing(base, market, tripled_from):
    """Candles from the deciding part on are tripled: windows, weights chosen and tokenizer stay."""
    config = _config(base)
    split = split_dates(config.split, market)
    border = choosing_end(config, split, market)
    assert split.validation_start < border < deciding_start(config, split, market) < split.validation_end
    poisoned = tripled_from(market, border)
    ours, theirs = (prepare(config, candles) for candles in (market, poisoned))
    assert ours.validation.num_targets == theirs.validation.num_targets
    for dataset in ("train", "validation"):
        for one, other in zip(
            getattr(ours, dataset).epoch(8, seed=0, epoch=1),
            getattr(theirs, dataset).epoch(8, seed=0, epoch=1),
            strict=True,
        ):
            assert all(one[name].nan_to_num().equal(other[name].nan_to_num()) for name in one)


def test_only_the_market_is_learned_from_but_for_the_replay(base, market):
    for replay, others in ((0.0, 0), (0.5, 2)):
        prepared = prepare(_config(base, f"finetune.replay={replay}"), market)
        windows = prepared.train.windows(np.random.default_rng(0))
        assert len(np.unique(windows[:, 0])) == 2 + others
        assert len(windows) == pytest.approx(prepared.train.windows_per_epoch(), abs=4 if replay else 2)


@pytest.mark.parametrize("stage", [None, 0, 2, 3])
def test_it_goes_on_after_a_stop_to_the_same_model(stage, base, market, tmp_path, accepted):
    engine = "{name='torch'}" if stage is None else f"{{name='deepspeed',options={{zero_stage={stage}}}}}"
    overrides = (f"engine={engine}", "checkpoint.every_steps=5", "checkpoint.keep=100")
    whole = train(_config(base, *overrides), tmp_path / "whole", candles=market)
    np.testing.assert_allclose(_forecast(whole.path, market), _forecast(accepted.path, market), atol=1e-5)
    shutil.copytree(
        tmp_path / "whole" / "checkpoints" / "step-00000010", tmp_path / "cut/checkpoints/step-00000010"
    )
    shutil.copy(tmp_path / "whole" / "config.toml", tmp_path / "cut")
    again = train(_config(base, *overrides), tmp_path / "cut", candles=market, resume=True)
    assert again.id == whole.id


def test_a_base_that_changed_is_not_gone_on_from(base, market, tmp_path, accepted):
    moved = shutil.copytree(base, tmp_path / "base")
    config = _config(moved)
    shutil.rmtree(moved)
    shutil.copytree(accepted.path, moved)
    with pytest.raises(RunError, match="fine-tuning began from"):
        train(config, tmp_path / "run", candles=market)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (("split.train_until=2017-01-01",), "it would be judged on what it has seen"),
        (("horizons=[1]",), "horizons cannot be changed in fine-tuning"),
        (("model.options.dim=32",), "model cannot be changed"),
        (("finetune.method=all",), "finetune.method"),
    ],
)
def test_what_cannot_be_fine_tuned_says_so(base, overrides, words):
    with pytest.raises(ConfigError, match=words):
        _config(base, *overrides)


def test_a_market_without_candles_and_a_validation_too_short_say_so(base, market, tmp_path):
    with pytest.raises(
        ConfigError, match=r"finetune\.market em: the candles have none; there are crypto, us"
    ):
        train(_config(base, market="em"), tmp_path / "em", candles=market)
    with pytest.raises(DataError, match=r"validation has .* sessions: too few"):
        train(_config(base, "split.validation_until=2018-01-22"), tmp_path / "short", candles=market)
    assert not (tmp_path / "em" / "manifest.json").exists()


def _told(crps, nll):
    one = {"ratio": 0.99, "low": 0.9, "high": 1.1}
    other = {"difference": -0.1, "low": -0.1, "high": 0.1, "base": 10.0}
    return {
        "crps": {**one, "verdict": crps, "dates": 40, "blocks": 4},
        "nll": None if nll is None else {**other, "verdict": nll},
    }


@pytest.mark.parametrize(
    ("accept_on", "crps", "nll", "kept"),
    [
        ("crps", "better", "undecided", True),
        ("crps", "better", None, True),
        ("crps", "better", "worse", False),
        ("crps", "undecided", "better", False),
        ("nll", "undecided", "better", True),
        ("nll", "worse", "better", False),
        ("nll", "better", None, False),
    ],
)
def test_better_at_what_was_asked_and_not_worse_at_the_other(accept_on, crps, nll, kept):
    config = FinetuneConfig(base="x", market="us", accept_on=accept_on)
    assert verdict_of(_told(crps, nll), config)[0] is kept


def test_the_test_part_tells_of_the_base_too(base, market, tmp_path, monkeypatch):
    from marketgpt_data_sources.writing import write_parquet

    write_parquet(market, tmp_path / "data")
    config = _config(base, f"data.source=parquet:{tmp_path / 'data'}")
    run = train(config, tmp_path / "run")
    results = evaluate_run(run.path)
    told = results["against_base"]
    assert told["crps"]["verdict"] in {"better", "worse", "undecided"}
    assert told["from"] >= "2019-06-01"
    # What it was made for, however many markets it reads.
    assert results["symbols"] == ["CCC-USD", "DDD-USD"]
    assert evaluate_run(run.path, symbols=("AAA",), record=False)["symbols"] == ["AAA"]
    recorded = json.loads((run.path / "test_results.json").read_text(encoding="utf-8"))
    assert recorded["against_base"] == told
