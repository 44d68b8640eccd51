from __future__ import annotations

import json

import numpy as np
import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import ConfigError, RunError
from marketgpt_core.run import Run
from marketgpt_core.testing import make_candles
from marketgpt_core.times import to_datetime
from marketgpt_training.evaluation.of_run import evaluate_candles, record_results
from marketgpt_training.pipeline import train
from marketgpt_training.preparation import prepare

CLOCK = FixedClock(to_datetime("2026-01-02"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, candles, tiny_values):
    import torch

    from marketgpt_core.config import load_config
    from marketgpt_training.config import TrainConfig

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    return train(
        load_config(TrainConfig, tiny_values, where="the test"), folder, candles=candles, clock=CLOCK
    )


def test_a_run_folder_has_what_the_design_lists(trained):
    names = set(trained.manifest["files"])
    assert names == {
        "config.toml", "forecaster.json", "model.json", "model.safetensors", "model_card.md",
        "tokenizer.json", "training_summary.json",
    }  # fmt: skip
    assert (trained.path / "metrics.jsonl").is_file()
    assert Run.open(trained.path).id == trained.id
    assert trained.manifest["packages"]["torch"]


def test_nothing_of_the_validation_or_test_part_reaches_what_is_fitted(make_config, candles, tripled_from):
    config = make_config()
    whole = prepare(config, candles)
    cut = prepare(config, tripled_from(candles, whole.split.train_end))
    assert whole.tokenizer.fingerprint() == cut.tokenizer.fingerprint()
    assert whole.spec == cut.spec
    for ours, theirs in zip(
        whole.train.epoch(64, seed=0, epoch=0), cut.train.epoch(64, seed=0, epoch=0), strict=True
    ):
        assert all(
            ours[name].nan_to_num().equal(theirs[name].nan_to_num()) for name in ours if name != "mask"
        )


def test_what_would_train_on_padding_says_so(make_config, candles):
    with pytest.raises(ConfigError, match=r"context 2000 is longer than the longest series .*, \d+ candles"):
        prepare(make_config("model.options.context=2000"), candles)
    with pytest.raises(ConfigError, match=r"batch_size 4096 is more than the \d+ windows of 32 candles"):
        prepare(make_config("loop.batch_size=4096"), candles)


def test_the_same_seed_gives_the_same_weights_and_another_seed_does_not(make_config, candles, tmp_path):
    ids = {}
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        ids[name] = train(
            make_config(f"seed={seed}", "loop.max_epochs=1"), tmp_path / name, candles=candles
        ).id
    assert ids["a"] == ids["b"] != ids["c"]


def test_the_loss_on_a_random_walk_falls_to_its_entropy_not_below(trained):
    summary = trained.json("training_summary.json")
    first, last = summary["epochs"][0]["nll"], summary["best_nll"]
    uniform = sum(np.log(trained.json("model.json")["spec"]["vocab_sizes"]))
    assert last < first <= uniform * 1.05
    assert summary["train_candles"] > summary["validation_candles"] > 500


def test_evaluation_is_recorded_and_the_models_identity_stays(trained, candles):
    before = trained.id
    evaluation = evaluate_candles(trained, candles)
    sealed = record_results(trained, evaluation.results)
    assert Run.open(sealed.path).id == before
    assert evaluation.results["from"] >= "2019-01-01"
    assert evaluation.results["horizons"].keys() == {"1", "5"}
    json.dumps(evaluation.results, allow_nan=False)


def test_a_model_trained_on_a_random_walk_has_no_direction_skill(trained, candles):
    results = evaluate_candles(trained, candles, every=2).results["horizons"]["1"]["models"]["model"]
    assert abs(results["direction_accuracy"] - 0.5) < 3 * 0.5 / np.sqrt(results["count"])


def test_a_folder_with_a_run_is_left_alone(trained, make_config, candles):
    before = (trained.path / "manifest.json").read_bytes()
    with pytest.raises(RunError, match="already holds a finished run"):
        train(make_config(), trained.path, candles=candles)
    assert (trained.path / "manifest.json").read_bytes() == before


def test_a_folder_that_cannot_be_written_is_named(make_config, tmp_path):
    (tmp_path / "file").write_text("x", encoding="utf-8")
    with pytest.raises(RunError, match=r"cannot write to the folder .*file/run"):
        train(make_config(), tmp_path / "file" / "run", candles=make_candles())


def test_an_unknown_plugin_or_option_is_named(make_config, candles):
    with pytest.raises(Exception, match="unknown model 'market_gtp'; did you mean 'market_gpt'"):
        prepare(make_config("model.name=market_gtp"), candles)
    with pytest.raises(ConfigError, match=r"no such key 'contxt'.*did you mean 'context'"):
        prepare(make_config("model.options.contxt=3"), candles)
