from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from marketgpt_core.errors import DataError
from marketgpt_signals.errors import LedgerError
from marketgpt_signals.records import BacktestRecord, RunRecord

AT = datetime(2016, 1, 12, tzinfo=UTC)
TESTED = BacktestRecord(
    config={"cost": {"fee_bps": 5.0}, "seed": 1},
    metrics={"sharpe": 0.4, "sharpe_interval": [-0.2, 1.1], "profit_factor": None},
    data_fingerprint="f" * 64,
    first_as_of=AT - timedelta(days=300),
    last_as_of=AT,
    code_revision="0.1.0+abc",
    created_at=AT,
)
RUN = RunRecord("0123456789abcdef", "/runs/one", {"nll": -3.1}, AT)


def test_backtests_come_back_newest_first_and_each_is_there_once(ledger):
    later = replace(TESTED, created_at=AT + timedelta(days=1), config={"seed": 2})
    assert ledger.record_backtest(TESTED)
    assert ledger.record_backtest(later)
    assert ledger.backtests() == [later, TESTED]
    assert ledger.backtests(limit=1) == [later]
    # Run again it is the same backtest, whenever that is; with another result it is another.
    assert not ledger.record_backtest(replace(TESTED, created_at=AT + timedelta(days=9)))
    assert ledger.record_backtest(replace(TESTED, metrics={"sharpe": 0.5}))
    assert len(ledger.backtests()) == 3
    with pytest.raises(DataError, match="limit must be at least 0, got -1"):
        ledger.backtests(limit=-1)


def test_a_run_is_known_once_wherever_its_folder_goes(ledger):
    assert ledger.record_run(RUN)
    assert not ledger.record_run(replace(RUN, path="/elsewhere", created_at=AT + timedelta(days=1)))
    assert ledger.runs() == [RUN]
    with pytest.raises(LedgerError, match="run 0123456789abcdef is already in the ledger with other metrics"):
        ledger.record_run(replace(RUN, metrics={"nll": -3.2}))
    assert ledger.record_run(replace(RUN, run_id="f" * 16))
    assert [one.run_id for one in ledger.runs()] == [RUN.run_id, "f" * 16]


def test_what_is_not_json_or_has_no_zone_is_refused(ledger):
    naive = datetime(2016, 1, 12)  # noqa: DTZ001
    with pytest.raises(LedgerError, match="the metrics of a backtest is not JSON"):
        ledger.record_backtest(replace(TESTED, metrics={"sharpe": float("nan")}))
    with pytest.raises(LedgerError, match="last_as_of must be aware"):
        ledger.record_backtest(replace(TESTED, last_as_of=naive))
    with pytest.raises(LedgerError, match="the metrics of run 0123456789abcdef is not JSON"):
        ledger.record_run(replace(RUN, metrics={"x": object()}))
    with pytest.raises(LedgerError, match="created_at must be aware"):
        ledger.record_run(replace(RUN, created_at=naive))
    assert ledger.runs() == ledger.backtests() == []
