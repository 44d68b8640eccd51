from __future__ import annotations

import re
from importlib.metadata import version

import pytest

from marketgpt_core.errors import DataError, RunError
from marketgpt_core.files import write_json
from marketgpt_core.run import Run
from marketgpt_core.testing import make_forecast
from marketgpt_signals.provenance import run_record, running_code
from marketgpt_signals.testing import CREATED_AT


@pytest.fixture
def run(tmp_path, clock):
    folder = tmp_path / "run"
    folder.mkdir()
    write_json(folder / "model.json", {"name": "tiny"})
    write_json(folder / "test_results.json", {"nll": -3.1})
    return Run.seal(folder, data_fingerprint="f" * 64, clock=clock)


def forecasts(model_id: str):
    frame = make_forecast(["AAA"], as_of=["2016-01-04"], horizons=(2,)).to_frame().assign(model_id=model_id)
    from marketgpt_core.forecast import Forecast

    return [Forecast.from_frame(frame)]


def test_the_code_is_a_version_and_a_revision():
    assert re.fullmatch(
        re.escape(version("marketgpt-signals")) + r"(\+[0-9a-f]{40}(-dirty)?)?", running_code()
    )


def test_outside_a_checkout_the_version_is_all(monkeypatch):
    monkeypatch.setattr("marketgpt_signals.provenance.code_revision", lambda: "release")
    assert running_code() == version("marketgpt-signals")


def test_the_run_behind_forecasts_is_written_down_with_its_test_results(run, ledger):
    record = run_record(run.path, forecasts(f"gpt-{run.id}"), CREATED_AT)
    assert (record.run_id, record.path, record.metrics) == (run.id, str(run.path), {"nll": -3.1})
    assert ledger.record_run(record)
    assert ledger.runs() == [record]


def test_forecasts_of_another_model_are_refused(run):
    with pytest.raises(DataError, match=f"are of model gpt-0000, and not of run {run.id}"):
        run_record(run.path, forecasts("gpt-0000"), CREATED_AT)


def test_a_run_that_was_changed_is_refused(run):
    (run.path / "model.json").write_text("{}", encoding="utf-8")
    with pytest.raises(RunError, match="is not the file this run was sealed with"):
        run_record(run.path, forecasts(f"gpt-{run.id}"), CREATED_AT)
