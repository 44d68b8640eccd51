"""``marketgpt train`` and ``marketgpt evaluate``, from the words typed to the files written."""

from __future__ import annotations

import json
import shutil

import pytest

from marketgpt_core.cli import main
from marketgpt_core.run import Run
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.writing import write_parquet

TINY = (
    "engine.name=torch",
    "data.symbols=[]",
    "data.start=2014-01-01",
    "split.train_until=2018-01-01",
    "split.validation_until=2019-01-01",
    "horizons=[1,5]",
    "model.options={context=16,num_layers=1,dim=16,num_heads=2,dropout=0.1}",
    "loop.max_epochs=1",
    "evaluation.horizons=[1,5]",
    "evaluation.every=40",
    "evaluation.num_samples=20",
)


@pytest.fixture
def run(capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("candles")
    write_parquet(make_candles(("AAA", "BBB"), num_candles=1_450, start="2014-01-01"), folder)
    return f"parquet:{folder}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, source):
    """A run trained through the command, not yet evaluated; only to be read."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    with pytest.raises(SystemExit) as stop:
        main(["train", "--preset", "demo", "--source", source, "--no-evaluate", *TINY, f"run_dir={folder}"])
    assert not stop.value.code
    return folder


@pytest.fixture
def copied(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "run")


def test_train_writes_a_sealed_run_with_what_was_typed_in_its_config(trained, source):
    sealed = Run.open(trained)
    assert "test_results.json" not in sealed.manifest["files"]
    config = (trained / "config.toml").read_text(encoding="utf-8")
    assert f'source = "{source}"' in config
    assert "max_epochs = 1" in config
    rows = [json.loads(line) for line in (trained / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    epochs = [row for row in rows if row["kind"] == "epoch"]
    steps = [row for row in rows if row["kind"] == "step"]
    assert len(epochs) == 1
    assert epochs[0]["nll"] == sealed.json("training_summary.json")["best_nll"]
    assert [row["step"] for row in steps] == list(range(1, len(steps) + 1))
    assert all(0 < row["nll"] < 30 for row in steps)


def test_train_with_json_prints_the_evaluation_and_nothing_else(run, source, tmp_path):
    folder = tmp_path / "run"
    code, out, err = run(
        "train", "--preset", "demo", "--source", source, "--json", *TINY, f"run_dir={folder}"
    )
    assert code == 0
    results = json.loads(out)
    assert results == Run.open(folder).json("test_results.json")
    assert set(results["horizons"]) == {"1", "5"}
    assert set(results["horizons"]["1"]["against"]) == {
        "random_walk", "ewma_normal", "ewma_fhs", "garch_t", "gjr_t", "ar1",
    }  # fmt: skip
    assert set(results["horizons"]["1"]["volatility"]["against"]) > {"garch_t", "log_har"}
    assert results["from"] >= "2019-01-01"
    assert f"run: {folder}" in err.replace("\n", "")


def test_without_run_dir_a_run_gets_a_folder_of_its_own(run, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run("train", "--preset", "demo", "--source", source, "--no-evaluate", *TINY)
    assert (code, out) == (0, "")
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("demo_2")
    assert Run.open(folder).id


def test_evaluate_scores_a_run_and_records_it(run, copied):
    before = Run.open(copied).id
    code, out, _ = run("evaluate", str(copied), "--json")
    assert code == 0
    assert json.loads(out) == Run.open(copied).json("test_results.json")
    assert Run.open(copied).id == before


def test_evaluate_on_other_candles_and_dates_leaves_the_run_as_it_is(run, copied, tmp_path):
    other = tmp_path / "other"
    write_parquet(make_candles(("XXX", "YYY"), num_candles=1_600, start="2014-01-01", seed=5), other)
    before = (copied / "manifest.json").read_bytes()
    code, out, _ = run(
        "evaluate", str(copied), "--source", f"parquet:{other}", "--symbols", "YYY",
        "--from", "2019-06-03", "--to", "2019-09-02", "--every", "10", "--samples", "20", "--json",
    )  # fmt: skip
    assert code == 0
    results = json.loads(out)
    assert results["symbols"] == ["YYY"]
    assert "2019-06-03" <= results["from"] <= results["to"] < "2019-09-02"
    # 65 sessions, every tenth.
    assert results["horizons"]["1"]["models"]["model"]["count"] == 7
    assert (copied / "manifest.json").read_bytes() == before
    assert not (copied / "test_results.json").exists()


def test_evaluate_prints_a_table_whose_numbers_are_whole_at_80_columns(run, copied, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    code, out, _ = run("evaluate", str(copied), "--every", "60")
    assert code == 0
    results = Run.open(copied).json("test_results.json") if (copied / "test_results.json").exists() else None
    # Other dates than the run's own are not recorded.
    assert results is None
    heading = next(line for line in out.splitlines() if "CRPS" in line)
    assert heading.split() == ["bars", "n", "CRPS", "/walk", "/EWMA", "/FHS", "/GARCH", "/GJR", "/AR1", "NLL"]
    rows = [line.split() for line in out.splitlines() if line.strip().startswith(("1 ", "5 "))]
    assert [len(row) for row in rows[:8]] == [10, 10, 10, 10, 9, 9, 10, 10]
    assert "\u2026" not in out
    assert max(map(len, out.splitlines())) <= 80


def test_evaluate_writes_a_page(run, copied, tmp_path):
    page = tmp_path / "page.html"
    code, out, _ = run("evaluate", str(copied), "--every", "60", "--html", str(page), "--json")
    assert code == 0
    text = page.read_text(encoding="utf-8")
    assert f"Evaluation of {json.loads(out)['model_id']}" in text
    assert text.count('class="plotly-graph-div"') == 7


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.toml", "model.json"])
def test_a_tampered_run_is_refused(run, copied, name):
    path = copied / name
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    changed = path.read_bytes()
    code, out, err = run("evaluate", str(copied), "--json")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {path} is not the file this run was sealed with: sha256 ")
    assert err.count("\n") == 1
    assert path.read_bytes() == changed


def test_a_run_that_lacks_a_file_is_refused(run, copied):
    (copied / "tokenizer.json").unlink()
    assert run("evaluate", str(copied))[::2] == (
        2,
        f"error: {copied} lacks tokenizer.json, which its manifest lists\n",
    )


def test_a_run_that_never_finished_is_refused(run, copied):
    (copied / "manifest.json").unlink()
    code, _, err = run("evaluate", str(copied))
    assert code == 2
    assert "is not a finished run: it has no manifest.json" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--preset", "dmo"), "unknown preset 'dmo'; did you mean 'demo'? known: "),
        (("--preset", "demo", "loop.max_epoch=3"), "did you mean 'max_epochs'?"),
        (("--preset", "demo", "loop.max_epochs=none"), "loop.max_epochs"),
        (("--preset", "demo", "split.embargo_bars=3"), "embargo_bars 3 is less than the longest horizon, 42"),
        (("--preset", "demo", "--processes", "0"), "--processes"),
        (("--preset", "demo", "model"), "model"),
        ((), "--preset"),
    ],
)
def test_mistakes_of_train_are_one_line_and_write_nothing(run, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, out, err = run("train", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert said in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--from", "yesterday"), "'yesterday'"),
        (("--from", "2031-01-01"), "no candle from 2031-01-01"),
        (("--symbols", "AAB"), "did you mean 'AAA'? known: AAA, BBB"),
        (("--source", "parqet:x"), "unknown data-source 'parqet'; did you mean 'parquet'?"),
        (("--samples", "3"), "--samples"),
        (("--every", "0"), "--every"),
    ],
)
def test_mistakes_of_evaluate_are_one_line(run, copied, arguments, said):
    code, out, err = run("evaluate", str(copied), *arguments)
    assert (code, out) == (2, "")
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    assert said in last
    assert Run.open(copied).id
