from __future__ import annotations

import json
from datetime import UTC, datetime

import pandas as pd
import pytest

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_core.signal import Outcome, Side
from marketgpt_signals.export import export_ledger
from marketgpt_signals.rows import OUTCOME_FIELDS, SIGNAL_FIELDS, signal_row


@pytest.fixture
def filled(ledger, make_signal):
    ledger.append([make_signal(0), make_signal(1, side=Side.SHORT, reason='a "quoted", reason')])
    at = datetime(2016, 1, 12, tzinfo=UTC)
    ledger.write_outcomes(
        [Outcome(make_signal(0).id, at, at, 100.0, 101.0, 0.01, 0.0086, 14.1, True, False, at)]
    )
    return ledger


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_has_a_row_a_signal_and_its_outcome(filled, make_signal, tmp_path, suffix):
    path = tmp_path / "new" / f"out{suffix}"
    assert export_ledger(filled, path) == 2
    frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert frame["id"].tolist() == [make_signal(1).id, make_signal(0).id]
    assert frame["reason"].tolist() == ['a "quoted", reason', "because"]
    assert frame["side"].tolist() == ["SHORT", "LONG"]
    assert frame["q95"].tolist() == [108.0, 108.0]
    assert frame["net_return"].isna().tolist() == [True, False]
    assert frame["net_return"].iloc[1] == 0.0086
    assert bool(frame["hit"].iloc[1]) is True
    assert pd.to_datetime(frame["as_of"], utc=True).tolist() == [make_signal(1).as_of, make_signal(0).as_of]


def test_json_nests_outcomes(filled, make_signal, tmp_path):
    assert export_ledger(filled, tmp_path / "out.json") == 2
    first, second = json.loads((tmp_path / "out.json").read_text())
    assert first["outcome"] is None
    assert second["outcome"]["cost_bps"] == 14.1
    assert second["bands"]["q50"] == 101.0
    assert second["as_of"] == "2016-01-04"


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_an_empty_ledger_is_an_empty_file(ledger, tmp_path, suffix):
    assert export_ledger(ledger, tmp_path / f"out{suffix}") == 0
    assert (tmp_path / f"out{suffix}").exists()


def test_places_that_cannot_be_written_are_named(ledger, tmp_path):
    with pytest.raises(ConfigError, match=r"cannot export to 'out.xls'; .*known: .csv, .json, .parquet"):
        export_ledger(ledger, tmp_path / "out.xls")
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        export_ledger(ledger, tmp_path / "file" / "out.csv")


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_pages_make_one_file_with_each_signal_once(ledger, make_signal, tmp_path, suffix, monkeypatch):
    """The first page has no outcome, the last nothing but."""
    pages = type(ledger).pages
    monkeypatch.setattr(type(ledger), "pages", lambda self: pages(self, size=3))
    said = [make_signal(day, symbol=symbol) for day in range(5) for symbol in ("AAA", "BBB")]
    ledger.append(said)
    at = datetime(2016, 1, 12, tzinfo=UTC)
    ledger.write_outcomes([Outcome(make_signal(0).id, at, at, 1.0, 1.1, 0.1, 0.09, 14.0, None, True, at)])
    path = tmp_path / f"out{suffix}"
    assert export_ledger(ledger, path) == 10
    if suffix == ".json":
        rows = json.loads(path.read_text())
        assert {row["id"] for row in rows} == {signal.id for signal in said}
        assert [row["outcome"] is None for row in rows].count(False) == 1
        return
    frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    assert set(frame["id"]) == {signal.id for signal in said}
    assert len(frame) == 10
    assert frame["net_return"].notna().sum() == 1
    assert frame["hit"].isna().all()


def test_columns_are_those_of_the_ledger(filled, make_signal, tmp_path):
    export_ledger(filled, tmp_path / "full.parquet")
    frame = pd.read_parquet(tmp_path / "full.parquet")
    assert list(frame.columns) == [*SIGNAL_FIELDS, *(name for name in OUTCOME_FIELDS if name != "signal_id")]
    assert tuple(signal_row(make_signal())) == SIGNAL_FIELDS
    assert str(frame["as_of"].dtype).startswith("datetime64")
