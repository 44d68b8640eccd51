"""Walk-forward: no fold knows what it is tested on, and folds merge into one comparison."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from scipy.stats import norm

from marketgpt_core.cli import main
from marketgpt_core.config import read_toml
from marketgpt_core.errors import ConfigError, DataError, RunError
from marketgpt_core.run import Run
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.writing import write_parquet
from marketgpt_models import load_forecaster
from marketgpt_training.preparation import prepare
from marketgpt_training.splits import split_dates
from marketgpt_training.walkforward.merge import merge
from marketgpt_training.walkforward.page import comparison_page
from marketgpt_training.walkforward.plan import PLAN_FILE, claim_plan, plan_folds, read_plan
from marketgpt_training.walkforward.scores import pooled_ratio, stability_index

TINY = (
    "engine.name=torch", "data.symbols=[]", "data.start=2014-01-01", "split.train_until=2016-01-01",
    "split.validation_until=2016-09-01", "split.embargo_bars=5", "horizons=[1,5]",
    "model.options={context=16,num_layers=1,dim=16,num_heads=2,dropout=0.1}", "loop.max_epochs=1",
    "evaluation.horizons=[1,5]", "evaluation.every=20", "evaluation.num_samples=20",
)  # fmt: skip


@pytest.fixture
def config(make_config):
    return make_config("split.train_until=2017-01-01", "split.validation_until=2017-09-01")


def _days(candles):
    return np.unique(np.concatenate([one.time for one in candles.values()]))


@pytest.mark.parametrize("window", ["expanding", "rolling"])
def test_a_fold_is_tested_on_what_comes_after_all_it_was_fitted_to(config, candles, window):
    plan = plan_folds(config, candles, folds=4, window=window)
    for fold in plan.folds:
        made = plan.config_of(fold.number)
        seen = candles.between(fold.start, made.data.end)
        split = split_dates(made.split, seen)
        days = _days(seen)
        between = [
            int(((days >= first) & (days < second)).sum())
            for first, second in (
                (split.train_end, split.validation_start),
                (split.validation_end, split.test_start),
            )
        ]
        assert between == [5, 5] == [config.split.embargo_bars] * 2
        assert max(made.evaluation.horizons) <= config.split.embargo_bars
        # What the last forecasts are scored by is loaded, and no session more.
        if fold.test_until is not None and made.data.end is not None:
            last = np.datetime64(fold.test_until, "ns")
            assert int((days >= last).sum()) == max(made.evaluation.horizons)


@pytest.mark.parametrize("window", ["expanding", "rolling"])
def test_test_blocks_follow_each_other_to_the_end_of_the_data(config, candles, window):
    plan = plan_folds(config, candles, folds=4, window=window)
    assert plan.folds[0].train_until == config.split.train_until
    assert plan.folds[0].validation_until == config.split.validation_until
    for before, after in itertools.pairwise(plan.folds):
        assert before.test_until == after.validation_until
    assert plan.folds[-1].test_until is None
    days = _days(candles)

    def row(day):
        return int(np.searchsorted(days, np.datetime64(day, "ns")))

    first = plan.folds[0]
    for fold in plan.folds:
        assert row(fold.validation_until) - row(fold.train_until) == row(first.validation_until) - row(
            first.train_until
        )
        length = row(fold.train_until) - (0 if fold.start is None else row(fold.start))
        grown = row(fold.train_until) - row(first.train_until)
        assert length == row(first.train_until) + (0 if window == "rolling" else grown)


def test_what_comes_after_a_fold_has_no_say_in_it(config, candles, tripled_from):
    """Every candle from the fold's last on is tripled: the fold prepares and is tested on the same."""
    plan = plan_folds(config, candles, folds=3, window="expanding")
    fold = plan.folds[0]
    border = np.datetime64(fold.data_until, "ns")
    poisoned = tripled_from(candles, border)
    assert plan_folds(config, poisoned, folds=3, window="expanding") == plan
    made = [prepare(plan.config_of(1), one.between(None, fold.data_until)) for one in (candles, poisoned)]
    assert made[0].candles.fingerprint() == made[1].candles.fingerprint()


def test_too_many_folds_say_how_many_fit(config, candles):
    with pytest.raises(DataError, match="at most 46 folds fit"):
        plan_folds(config, candles, folds=90, window="expanding")
    with pytest.raises(ConfigError, match="2 to 100 folds, got 1"):
        plan_folds(config, candles, folds=1, window="expanding")


def test_folds_that_begin_together_agree_on_the_plan(config, candles, tmp_path):
    plan = plan_folds(config, candles, folds=3, window="rolling")
    claim_plan(plan, tmp_path)
    claim_plan(plan, tmp_path)
    assert read_plan(tmp_path) == plan
    with pytest.raises(RunError, match="begun with another window, folds"):
        claim_plan(plan_folds(config, candles, folds=3, window="expanding"), tmp_path)
    with pytest.raises(ConfigError, match="fold 4: there are 1 to 3"):
        plan.config_of(4)
    (tmp_path / PLAN_FILE).write_text("[1]", encoding="utf-8")
    with pytest.raises(ConfigError, match=PLAN_FILE):
        read_plan(tmp_path)


def _run(capsys, *arguments):
    with pytest.raises(SystemExit) as stop:
        main(list(arguments))
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    folder = tmp_path_factory.mktemp("candles")
    write_parquet(make_candles(("AAA", "BBB"), num_candles=1_450, start="2014-01-01"), folder)
    return ("walk-forward", "--preset", "demo", "--folds", "3", "--source", f"parquet:{folder}", *TINY)


@pytest.fixture(scope="module")
def walked(tmp_path_factory, words):
    """Fold 2 alone as on a cluster, then all, then merged: only to be read."""
    folder = tmp_path_factory.mktemp("walked") / "wf"
    for more in (("--fold", "2"), ()):
        with pytest.raises(SystemExit) as stop:
            main([*words, *more, f"run_dir={folder}"])
        assert not stop.value.code
    return folder


def test_folds_are_runs_of_their_own_compared_by_one_command(walked):
    comparison = json.loads((walked / "comparison.json").read_text(encoding="utf-8"))
    assert [one["fold"] for one in comparison["folds"]] == [1, 2, 3]
    for one in comparison["folds"]:
        assert set(one["losses"]) == {"train", "validation", "test"}
        assert one["test_from"] > one["validation_until"] > one["train_until"]
    for one, fold in zip(comparison["folds"], read_plan(walked).folds, strict=True):
        assert one["test_to"] < str(fold.test_until or "9999")
        assert set(one["crps"]) == {"1", "5"}
        assert all(value >= 0 for value in one["drift"].values())
    assert [(one["model"], one["block"]) for one in comparison["ageing"]] == [(1, 2), (1, 3), (2, 3)]
    assert [one["block"] for one in comparison["ensemble"]] == [2, 3]
    assert comparison["consistency"]["1"]["folds"] == 3
    page = (walked / "comparison.html").read_text(encoding="utf-8")
    assert page == comparison_page(comparison)
    assert "Walk-forward: 3 folds, expanding window" in page


def test_a_fold_trained_alone_is_the_fold_trained_in_a_row(walked, words, tmp_path, capsys):
    status, _, _ = _run(capsys, *words, "--fold", "2", f"run_dir={tmp_path / 'wf'}")
    assert status == 0
    assert Run.open(tmp_path / "wf" / "fold-02").id == Run.open(walked / "fold-02").id


def test_finished_folds_are_left_as_they_are(walked, words, capsys):
    before = {path.parent.name: path.stat().st_mtime_ns for path in walked.glob("fold-*/manifest.json")}
    status, out, _ = _run(capsys, *words, "--json", f"run_dir={walked}")
    assert status == 0
    assert json.loads(out) == json.loads((walked / "comparison.json").read_text(encoding="utf-8"))
    after = {path.parent.name: path.stat().st_mtime_ns for path in walked.glob("fold-*/manifest.json")}
    assert before == after
    assert len(after) == 3


def test_the_ensemble_is_evaluated_on_what_no_fold_knows(walked):
    ensemble = Run.open(walked / "ensemble")
    config = read_toml(ensemble.file("config.toml"))
    assert str(config["split"]["validation_until"]) == str(read_plan(walked).folds[-1].validation_until)
    assert len(load_forecaster(ensemble.path).members) == 3


def test_folds_not_finished_are_named(walked, tmp_path, words, capsys):
    (tmp_path / "wf").mkdir()
    (tmp_path / "wf" / PLAN_FILE).write_bytes((walked / PLAN_FILE).read_bytes())
    with pytest.raises(RunError, match="folds not finished: 1, 2, 3 of 3"):
        merge(tmp_path / "wf")
    for more, said in (
        (("--fold", "1", "--merge"), "give one of them"),
        (("--merge",), "need run_dir=DIR"),
        (("--merge", f"run_dir={tmp_path / 'none'}"), "is not a walk-forward"),
        (("--folds", "99", f"run_dir={tmp_path / 'much'}"), "at most"),
        (("--fold", "7", f"run_dir={tmp_path / 'seventh'}"), "there are 1 to 3"),
    ):
        status, _, err = _run(capsys, *words, *more)
        assert status == 2
        assert said in err
        assert "Traceback" not in err


def test_pooling_is_the_inverse_variance_mean_and_q_sees_folds_that_differ():
    width = norm.ppf(0.95)

    def one(log, error):
        return {"ratio": np.exp(log), "low": np.exp(log - width * error), "high": np.exp(log + width * error)}

    pooled = pooled_ratio([one(0.0, 0.01), one(-0.03, 0.02)])
    assert np.log(pooled["ratio"]) == pytest.approx((-0.03 / 4) / 1.25)
    assert np.log(pooled["high"] / pooled["low"]) == pytest.approx(2 * width * 0.01 / 1.25**0.5)
    assert pooled["q"] == pytest.approx(0.006**2 / 1e-4 + 0.024**2 / 4e-4)
    assert pooled_ratio([one(0.0, 0.01)] * 3)["q_p"] == pytest.approx(1.0)
    far = pooled_ratio([one(-0.05, 0.01), one(0.05, 0.01), one(0.0, 0.01)])
    assert far["q_p"] < 0.001
    assert far["i_squared"] == pytest.approx(1 - 2 / far["q"])


def test_the_stability_index_of_the_same_is_zero_and_grows():
    before = np.array([100.0, 200.0, 300.0])
    assert stability_index(before, before) == 0
    near, far = (
        stability_index(before, np.array(after)) for after in ([110.0, 190.0, 300.0], [300.0, 200.0, 0.0])
    )
    assert 0 < near < 0.1
    assert far > 0.25
