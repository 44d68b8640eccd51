"""The whole way, tiny: every file is there, the same seed gives the same numbers."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from marketgpt_core.cli import main
from marketgpt_core.run import Run
from marketgpt_signals.ledger import Ledger

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def read(workspace):
    return json.loads(workspace.summary.read_text(encoding="utf-8"))


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_file_is_there_and_readable(tiny_demo):
    workspace = tiny_demo.workspace
    assert {path.name for path in workspace.candles.iterdir()} == {"AAPL.parquet", "^GSPC.parquet"}
    sealed = Run.open(workspace.run)
    assert sealed.id == tiny_demo.run.id
    assert "test_results.json" in sealed.manifest["files"]
    assert json.loads(workspace.backtest.read_text(encoding="utf-8"))
    assert workspace.report.stat().st_size > 1_000_000
    assert "@@" not in workspace.report.read_text(encoding="utf-8").split("<body>", 1)[1]
    assert not list(workspace.folder.rglob("*.tmp"))


def test_the_ledger_holds_every_signal_and_what_came_of_the_old_ones(tiny_demo):
    with Ledger.open(tiny_demo.workspace.ledger, must_exist=True) as ledger:
        summary = ledger.summary()
        newest = ledger.signals(symbol="AAPL", latest=True)
    assert summary.num_signals == read(tiny_demo.workspace)["signals"]["written"] == len(tiny_demo.signals)
    assert {signal.horizon_bars for signal in newest} == {5, 10, 21, 42}
    assert {str(signal.as_of)[:10] for signal in newest} == {"2016-05-31"}
    # The newest have not come to pass; what lies two months back has.
    assert 0 < summary.num_outcomes <= summary.num_signals - len(newest)


def test_the_forecasts_are_rows_of_the_designs_table(tiny_demo):
    frame = pd.read_parquet(tiny_demo.workspace.forecasts)
    assert {"symbol", "as_of", "horizon", "p_up", "epistemic", "q050", "q500", "q950"} <= set(frame.columns)
    assert not frame.duplicated(["symbol", "as_of", "horizon"]).any()
    assert (frame["q050"] < frame["q950"]).all()
    assert frame["p_up"].between(0, 1).all()
    # Only what the model never saw: after the validation part.
    assert frame["as_of"].min() >= pd.Timestamp("2013-07-01", tz=frame["as_of"].dt.tz)


def test_the_summary_says_what_the_files_say(tiny_demo):
    values = read(tiny_demo.workspace)
    results = tiny_demo.run.json("test_results.json")["horizons"]
    for horizon, test in values["test"].items():
        assert test["crps"] == results[horizon]["models"]["model"]["crps"]
    assert values["parameters"] == tiny_demo.run.json("training_summary.json")["num_parameters"]
    assert values["seed"] == 1


def test_the_same_seed_gives_the_same_numbers_another_day_and_another_seed_others(
    tiny_demo, make_demo, tmp_path
):
    first = read(tiny_demo.workspace)
    again = make_demo(tmp_path / "again", seed=1, at="2026-01-03")
    assert read(again.workspace) == first
    pd.testing.assert_frame_equal(
        pd.read_parquet(again.workspace.forecasts), pd.read_parquet(tiny_demo.workspace.forecasts)
    )
    other = read(make_demo(tmp_path / "other", seed=2).workspace)
    assert other["model_id"] != first["model_id"]
    assert other["validation_nll"] != first["validation_nll"]
    for horizon in first["test"]:
        assert other["test"][horizon]["crps"] != first["test"][horizon]["crps"]
        # The baselines and the truth know no seed: the random walk's ratio moves with the model alone.
        assert other["test"][horizon]["always_up_accuracy"] == first["test"][horizon]["always_up_accuracy"]


def test_the_report_says_the_whole_command(tiny_demo):
    import html
    import shlex

    text = tiny_demo.workspace.report.read_text(encoding="utf-8").split("<body>", 1)[1]
    words = shlex.join(["marketgpt", "demo", "--seed", "1", *tiny_demo.overrides])
    assert "loop.max_epochs=1" in words
    assert f"<td>{html.escape(words)}</td>" in text


def test_a_second_demo_is_refused_and_the_first_left_bit_by_bit(tiny_demo, capsys):
    folder = tiny_demo.workspace.folder
    before = contents(folder)
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--out", str(folder), "--seed", "9"])
    assert stop.value.code == 2
    assert "--overwrite replaces it" in capsys.readouterr().err
    assert contents(folder) == before


def test_overwrite_makes_a_new_demo_in_place(make_demo, tmp_path):
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    (folder / "ledger.db").write_text("not a database", encoding="utf-8")
    (folder / "run").mkdir()
    (folder / "run" / "manifest.json").write_text("{}", encoding="utf-8")
    made = make_demo(folder, overwrite=True)
    with Ledger.open(made.workspace.ledger, must_exist=True) as ledger:
        assert ledger.summary().num_signals == len(made.signals)
    assert Run.open(made.workspace.run).id == made.run.id
    assert (folder / "notes.txt").read_text(encoding="utf-8") == "mine"
