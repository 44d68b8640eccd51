from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_monitoring.base import DashboardContext, Selection
from marketgpt_monitoring.panels.track_record import _ALL, TrackRecordPanel, _percent
from marketgpt_monitoring.sample_ledger import MemoryReader

START = datetime(2020, 1, 1, tzinfo=UTC)


def read(reader, now, *, scope=None, window_days=730):
    panel = TrackRecordPanel(TrackRecordPanel.Config(window_days=window_days))
    panel._scope = scope or panel._scope
    context = DashboardContext(reader, lambda name: None, FixedClock(now), Selection("S1", 1))
    return panel._read(context)


def test_rows_hold_what_was_resolved_for_the_symbol_or_for_all(make_history, ledger_of):
    reader = ledger_of(make_history(300, inside_share=0.8))
    now = START + timedelta(days=400)
    (one,) = read(reader, now)
    (every,) = read(reader, now, scope=_ALL)
    assert (one.horizon, one.num, every.num) == ("1d", 300, 1_500)
    assert every.hit.value == pytest.approx(0.6, abs=0.04)
    assert every.coverage.value == pytest.approx(0.8, abs=0.04)
    assert every.coverage.excludes(0.9)
    assert every.brier == pytest.approx(0.24, abs=0.01)


def test_the_window_and_the_clock_limit_what_counts(make_history, ledger_of):
    reader = ledger_of(make_history(300))
    (row,) = read(reader, START + timedelta(days=400), window_days=150)
    assert row.num == 50
    (row,) = read(reader, START + timedelta(days=10))
    assert row.num == 8
    assert read(MemoryReader(), START) == []


def test_models_that_followed_each_other_are_one_row(make_history, ledger_of):
    later = make_history(50, model_id="model-b", start=START + timedelta(days=50))
    (row,) = read(ledger_of(make_history(50) + later), START + timedelta(days=200))
    assert row.num == 100


def test_what_lies_off_the_axis_is_drawn_at_its_end():
    assert _percent(0.5, (0.2, 0.8)) == pytest.approx(50.0)
    assert _percent(0.1, (0.2, 0.8)) == 0.0
    assert _percent(0.9, (0.2, 0.8)) == 100.0
