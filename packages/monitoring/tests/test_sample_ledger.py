from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from marketgpt_core.signal import Side
from marketgpt_core.testing import make_candles
from marketgpt_monitoring.sample_ledger import MemoryReader, make_signal, sample_ledger

DAY = datetime(2024, 1, 2, tzinfo=UTC)


@pytest.fixture
def reader():
    return MemoryReader(
        [
            make_signal("AAA", as_of=DAY, horizon_bars=1, probability=0.6),
            make_signal("AAA", as_of=DAY + timedelta(days=1), horizon_bars=1, probability=0.3),
            make_signal("AAA", as_of=DAY, horizon_bars=5, probability=0.5),
            make_signal("BBB", as_of=DAY + timedelta(days=2), horizon_bars=1, probability=0.7),
        ]
    )


def test_newest_come_first_and_limit_cuts_the_old(reader):
    assert [one.as_of.day for one in reader.signals()] == [4, 3, 2, 2]
    assert [one.symbol for one in reader.signals(limit=1)] == ["BBB"]


def test_filters(reader):
    assert {one.symbol for one in reader.signals(symbol="AAA")} == {"AAA"}
    assert [one.horizon_bars for one in reader.signals(horizon_bars=5)] == [5]
    assert [one.probability for one in reader.signals(side=Side.SHORT)] == [0.3]
    assert {one.probability for one in reader.signals(min_probability=0.65)} == {0.3, 0.7}
    assert len(reader.signals(since=DAY + timedelta(days=1))) == 2
    assert reader.symbols() == ["AAA", "BBB"]


def test_latest_is_by_symbol_and_horizon(reader):
    found = {(one.symbol, one.horizon_bars): one.as_of.day for one in reader.signals(latest=True)}
    assert found == {("AAA", 1): 3, ("AAA", 5): 2, ("BBB", 1): 4}


def test_what_is_written_stays(reader, resolve_as):
    first = reader.signals(limit=1)[0]
    reader.append(make_signal("BBB", as_of=first.as_of, horizon_bars=1, probability=0.1))
    assert reader.signals(limit=1) == [first]
    reader.resolve(resolve_as(first, up=True))
    reader.resolve(resolve_as(first, up=False))
    ((signal, outcome),) = reader.resolved()
    assert signal == first
    assert outcome.forecast_return > 0


def test_a_sample_ledger_holds_what_its_bands_promise_and_knows_nothing():
    candles = make_candles(("AAA", "BBB", "CCC"), num_candles=700)
    pairs = sample_ledger(candles, horizons=(1,)).resolved()
    assert np.mean([outcome.inside_90 for _, outcome in pairs]) == pytest.approx(0.9, abs=0.025)
    hits = [outcome.hit for _, outcome in pairs if outcome.hit is not None]
    assert np.mean(hits) == pytest.approx(0.5, abs=0.04)


def test_outcomes_are_entered_after_the_signal_and_resolved_after_the_exit():
    candles = make_candles(("AAA",), num_candles=80)
    series = candles["AAA"]
    for signal, outcome in sample_ledger(candles, horizons=(1, 5)).resolved():
        assert signal.as_of < outcome.entry_at <= outcome.exit_at < outcome.resolved_at
        row = int(np.searchsorted(series.time, np.datetime64(signal.as_of.replace(tzinfo=None))))
        assert outcome.entry_price == series.open[row + 1]
        assert outcome.exit_price == series.open[row + signal.horizon_bars + 1]
        assert np.exp(outcome.forecast_return) == pytest.approx(
            series.close[row + signal.horizon_bars] / series.close[row]
        )
