from __future__ import annotations

from datetime import UTC, datetime

from marketgpt_core.clock import FixedClock
from marketgpt_monitoring.base import DashboardContext, Selection
from marketgpt_monitoring.panels import signals
from marketgpt_monitoring.sample_ledger import MemoryReader, make_signal


def context(reader, *, symbol="AAA", now=datetime(2024, 1, 3, tzinfo=UTC)):
    return DashboardContext(reader, lambda name: None, FixedClock(now), Selection(symbol, 1))


def test_a_row_says_all_of_a_signal():
    (row,) = signals._read(context(MemoryReader([make_signal("AAA", probability=0.44, horizon_bars=21)])))
    assert (row["horizon"], row["side"], row["p_up"], row["confidence"]) == ("1m", "SHORT", "44.0%", "0.12")
    assert (row["median"], row["band_50"], row["band_90"]) == ("100.00", "96.96 to 103.14", "92.74 to 107.83")
    assert (row["expires"], row["expired"]) == ("2024-01-06", False)
    assert row["reason"] == "P(up) 44.0% against a threshold of 52%"


def test_rows_are_the_newest_by_horizon():
    newer = datetime(2024, 1, 3, tzinfo=UTC)
    reader = MemoryReader(
        [
            make_signal("AAA", horizon_bars=21, as_of=newer),
            make_signal("AAA", horizon_bars=1, as_of=newer),
            make_signal("AAA", horizon_bars=1),
            make_signal("BBB", horizon_bars=5, as_of=newer),
        ]
    )
    assert [row["horizon"] for row in signals._read(context(reader))] == ["1d", "1m"]
    assert signals._read(context(reader, symbol=None)) == []


def test_an_expired_signal_says_so():
    late = datetime(2024, 1, 6, 1, tzinfo=UTC)
    (row,) = signals._read(context(MemoryReader([make_signal("AAA")]), now=late))
    assert (row["expires"], row["expired"]) == ("2024-01-06 (expired)", True)


def test_templates_hold_no_raw_html():
    for template in (signals._SIDE_CELL, signals._EXPIRES_CELL, signals._REASON_CELL):
        assert "v-html" not in template
        assert "innerHTML" not in template
