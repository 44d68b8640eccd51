from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from marketgpt_core.errors import DataError
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Bands, Outcome, Side, Signal, SignalReader
from marketgpt_signals.errors import LedgerError
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.queries import SignalFilter
from marketgpt_signals.schema import SCHEMA_VERSION

AT = datetime(2016, 1, 12, 14, 30, 0, 123_456, tzinfo=UTC)


def make_outcome(signal: Signal, **changes: object) -> Outcome:
    plain = Outcome(
        signal_id=signal.id,
        entry_at=AT,
        exit_at=AT + timedelta(days=5),
        entry_price=100.0,
        exit_price=101.0,
        forecast_return=0.011,
        net_return=0.0086,
        cost_bps=14.07,
        hit=True,
        inside_90=True,
        resolved_at=AT,
    )
    return replace(plain, **changes)


def test_signals_come_back_as_they_were_newest_first(ledger, make_signal):
    said = [make_signal(day, symbol=symbol) for day in (2, 0, 1) for symbol in ("BBB", "AAA")]
    assert ledger.append(said) == 6
    back = ledger.signals()
    assert set(back) == set(said)
    assert [s.as_of.day for s in back] == [6, 6, 5, 5, 4, 4]
    assert back[0].as_of.tzinfo is UTC
    assert ledger.symbols() == ["AAA", "BBB"]


def test_the_same_again_is_ignored(ledger, make_signal):
    assert ledger.append([make_signal(0), make_signal(0), make_signal(1)]) == 2
    later = make_signal(1, created_at=AT + timedelta(days=9))
    assert ledger.append([make_signal(0), later, make_signal(2)]) == 1
    # What was said first stays, with the time it was said.
    assert ledger.get(later.id)[0].created_at == make_signal().created_at


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("side", {"side": Side.SHORT}),
        ("probability", {"probability": 0.6000000000000001}),
        ("close", {"close": 100.1}),
        ("q95", {"bands": Bands(95.0, 98.0, 101.0, 104.0, 109.0)}),
        ("expires_at", {"expires_at": AT}),
        ("reason", {"reason": "another"}),
        ("data_fingerprint", {"data_fingerprint": "0" * 64}),
    ],
)
def test_a_contradiction_is_refused_and_nothing_of_it_written(ledger, make_signal, name, changes):
    ledger.append([make_signal()])
    with pytest.raises(LedgerError, match=f"AAA 2016-01-04, 5 bars.* with another {name}: .* only grows"):
        ledger.append([make_signal(1), make_signal(**changes), make_signal(2)])
    assert ledger.signals() == [make_signal()]
    # Within one call, too.
    with pytest.raises(LedgerError, match=name):
        ledger.append([make_signal(5), make_signal(5, **changes)])
    assert ledger.signals() == [make_signal()]


def test_one_moment_is_one_signal_in_whatever_zone_it_is_written(ledger, make_signal):
    elsewhere = make_signal(as_of=datetime(2016, 1, 4, 9, tzinfo=timezone(timedelta(hours=9))))
    assert ledger.append([make_signal(), elsewhere]) == 1
    assert ledger.append([elsewhere]) == 0
    assert ledger.signals() == [elsewhere]


def test_filters(ledger, make_signal):
    ledger.append(
        [
            make_signal(0, probability=0.6),
            make_signal(1, side=Side.SHORT, probability=0.3),
            make_signal(2, side=Side.FLAT, probability=0.5),
            make_signal(0, symbol="BBB", horizon_bars=10, probability=0.9),
        ]
    )

    def days(**wanted: object) -> list[tuple[str, int]]:
        return [(s.symbol, s.as_of.day) for s in ledger.signals(**wanted)]

    assert days(symbol="AAA") == [("AAA", 6), ("AAA", 5), ("AAA", 4)]
    assert days(horizon_bars=10) == [("BBB", 4)]
    assert days(side=Side.SHORT) == [("AAA", 5)]
    assert days(since=datetime(2016, 1, 5, tzinfo=UTC)) == [("AAA", 6), ("AAA", 5)]
    assert days(limit=1) == [("AAA", 6)]
    assert days(limit=0) == []
    assert days(symbol="'; DROP TABLE signals; --") == []
    # A SHORT at P(up) 0.3 is as sure as a LONG at 0.7.
    assert days(min_probability=0.7) == [("AAA", 5), ("BBB", 4)]
    assert days(min_probability=0.7000001) == [("BBB", 4)]
    assert days(latest=True) == [("AAA", 6), ("BBB", 4)]
    # AAA turned FLAT since it was LONG: it has no latest LONG.
    assert days(latest=True, side=Side.LONG) == [("BBB", 4)]
    assert ledger.horizons() == [5, 10]
    with pytest.raises(DataError, match="limit must be at least 0, got -1"):
        ledger.signals(limit=-1)
    with pytest.raises(LedgerError, match="since must be aware"):
        ledger.signals(since=datetime(2016, 1, 5))  # noqa: DTZ001


def test_the_latest_of_a_horizon_is_kept_apart_by_interval(ledger, make_signal):
    hourly = make_signal(9, interval=Interval.HOUR)
    ledger.append([make_signal(0), hourly])
    assert set(ledger.signals(latest=True)) == {make_signal(0), hourly}


def test_pages_cover_everything_once_even_while_signals_arrive(ledger, make_signal):
    said = [make_signal(day, symbol=f"S{i}") for day in range(4) for i in range(3)]
    random.Random(0).shuffle(said)
    ledger.append(said)
    seen, after = [], None
    while page := ledger.signal_page(SignalFilter(), after=after, limit=5):
        seen += [signal for _, signal in page]
        after = page[-1][0]
        ledger.append([make_signal(100 + len(seen))])
    assert len(seen) == len(set(seen)) == 12
    assert set(seen) == set(said)


def test_outcomes(ledger, make_signal):
    first, second, third = (make_signal(day) for day in (0, 1, 2))
    ledger.append([third, first, second])
    flat = make_outcome(second, hit=None, inside_90=False, net_return=0.0)
    assert ledger.write_outcomes([flat, make_outcome(first)]) == 2
    assert ledger.resolved() == [(first, make_outcome(first)), (second, flat)]
    assert ledger.resolved(limit=1) == [(first, make_outcome(first))]
    assert ledger.resolved(since=second.as_of) == [(second, flat)]
    assert ledger.resolved(symbol="BBB") == []
    assert ledger.unresolved() == [third]
    assert ledger.unresolved(symbol="BBB") == []
    assert ledger.pending() == [("AAA", Interval.DAY)]
    assert ledger.get(first.id) == (first, make_outcome(first))
    assert ledger.get(third.id) == (third, None)
    assert ledger.get("0" * 32) is None


def test_an_outcome_is_final(ledger, make_signal):
    signal = make_signal()
    ledger.append([signal])
    assert ledger.write_outcomes([make_outcome(signal)]) == 1
    assert ledger.write_outcomes([make_outcome(signal, resolved_at=AT + timedelta(days=1))]) == 0
    with pytest.raises(LedgerError, match=f"outcome {signal.id} .* another exit_price: 101.0 there"):
        ledger.write_outcomes([make_outcome(signal, exit_price=102.0)])
    with pytest.raises(LedgerError, match="which is not in the ledger"):
        ledger.write_outcomes([make_outcome(make_signal(7))])
    assert ledger.resolved() == [(signal, make_outcome(signal))]


def test_events_are_kept_in_order(ledger):
    later = ledger.record_event("retrained", {"fold": 3, "why": None}, AT + timedelta(days=1))
    earlier = ledger.record_event("drift", {"p": 0.01}, AT)
    assert (later.seq, earlier.seq) == (1, 2)
    assert ledger.events() == [earlier, later]
    assert ledger.events(kind="drift") == [earlier]
    assert ledger.events(since=AT + timedelta(hours=1)) == [later]
    assert ledger.events(limit=1) == [earlier]
    assert earlier.payload == {"p": 0.01}
    for payload in ({"p": float("nan")}, {"p": object()}):
        with pytest.raises(LedgerError, match="payload of event 'drift' is not JSON"):
            ledger.record_event("drift", payload, AT)
    with pytest.raises(LedgerError, match="at must be aware"):
        ledger.record_event("drift", {}, datetime(2016, 1, 1))  # noqa: DTZ001


def test_summary(ledger, make_signal):
    assert ledger.summary().newest is None
    ledger.append([make_signal(1), make_signal(0)])
    ledger.write_outcomes([make_outcome(make_signal(0))])
    summary = ledger.summary()
    assert (summary.num_signals, summary.num_outcomes, summary.num_events) == (2, 1, 0)
    assert summary.newest == make_signal(1)
    assert summary.schema_version == SCHEMA_VERSION


def test_it_is_what_dashboards_ask_for(ledger):
    reader: SignalReader = ledger
    assert reader.signals(latest=True, limit=3) == []
    assert reader.resolved() == []
    assert reader.symbols() == []


floats = st.floats(0.001, 1e12, allow_nan=False)
moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)


@st.composite
def any_signal(draw):
    return Signal(
        symbol=draw(st.sampled_from(["AAA", "BRK-B", "^GSPC", "BTC-USD"])),
        as_of=draw(moments),
        horizon_bars=draw(st.integers(1, 10_000)),
        interval=draw(st.sampled_from(Interval)),
        side=draw(st.sampled_from(Side)),
        probability=draw(st.floats(0, 1)),
        confidence=draw(st.floats(0, 1)),
        close=draw(floats),
        bands=Bands(*sorted(draw(st.lists(floats, min_size=5, max_size=5)))),
        expires_at=draw(moments),
        created_at=draw(moments),
        strategy=draw(texts),
        model_id=draw(texts),
        data_fingerprint=draw(texts),
        reason=draw(texts),
        code_revision=draw(texts),
        size=draw(st.floats(0, 1)),
    )


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    said=st.lists(any_signal(), max_size=6, unique_by=lambda s: s.id),
    again=st.lists(st.integers(0, 5), max_size=8),
)
def test_writing_again_and_again_changes_nothing(said, again):
    with tempfile.TemporaryDirectory() as folder, Ledger.open(Path(folder) / "ledger.db") as ledger:
        half = len(said) // 2
        assert ledger.append(said[:half]) == half
        assert ledger.append(said) == len(said) - half
        for position in again:
            assert ledger.append(said[position : position + 2]) == 0
        back = ledger.signals()
        assert sorted(back, key=lambda s: s.id) == sorted(said, key=lambda s: s.id)
        assert [s.as_of for s in back] == sorted((s.as_of for s in said), reverse=True)


WRITER = """
import sys
from datetime import UTC, datetime, timedelta
from marketgpt_core.interval import Interval
from marketgpt_core.signal import Bands, Side, Signal
from marketgpt_signals.ledger import Ledger

location, own = sys.argv[1:]
at = datetime(2016, 2, 1, tzinfo=UTC)
made = [
    Signal(symbol, at + timedelta(days), 5, Interval.DAY, Side.FLAT, 0.5, 0.0, 100.0, Bands(1, 2, 3, 4, 5),
           at, at, "threshold", "model", "data")
    for days in range(40) for symbol in (own, "SHARED")
]
print("ready", flush=True)
sys.stdin.readline()
with Ledger.open(location) as ledger:
    print(sum(ledger.append([signal]) for signal in made))
"""


def test_two_processes_make_a_ledger_and_write_at_once(location):
    commands = ([sys.executable, "-c", WRITER, location, symbol] for symbol in ("AAA", "BBB"))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        writers = [stack.enter_context(subprocess.Popen(command, **pipes)) for command in commands]
        assert [writer.stdout.readline() for writer in writers] == ["ready\n", "ready\n"]
        for writer in writers:
            writer.stdin.write("go\n")
            writer.stdin.flush()
        counts = [int(writer.communicate(timeout=120)[0]) for writer in writers]
    with Ledger.open(location, must_exist=True) as ledger:
        # 40 days of each one's own symbol, and of the shared one just once.
        assert sum(counts) == len(ledger.signals()) == 3 * 40
        assert ledger.symbols() == ["AAA", "BBB", "SHARED"]
