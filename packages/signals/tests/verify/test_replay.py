from __future__ import annotations

from dataclasses import replace

import pytest

from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_signals.ledger import Ledger
from marketgpt_signals.registry import strategies
from marketgpt_signals.testing import CREATED_AT
from marketgpt_signals.verify.replay import check_replay

CANDLES = make_candles(["AAA", "BBB"], num_candles=60)
DAYS = [str(day)[:10] for day in CANDLES["AAA"].time[30:50]]
SNAPSHOT = make_forecast(["AAA", "BBB"], as_of=DAYS, horizons=(2, 5), drift=0.002)


def said(ledger: Ledger, name: str = "threshold", **options):
    strategy = strategies().create(name, options)
    ledger.append(strategy.signals(SNAPSHOT, created_at=CREATED_AT, candles=CANDLES))
    return strategy, ledger.signals()


@pytest.mark.parametrize("name", ["threshold", "bollinger", "rank", "consensus"])
def test_what_was_said_is_said_again(ledger, name):
    strategy, signals = said(ledger, name)
    there, same = check_replay(signals, strategy, [(SNAPSHOT, CANDLES)])
    assert there.passed
    assert same.passed
    assert same.num_compared == len(signals) == 80


def test_another_option_another_forecast_and_other_candles_are_found(ledger):
    strategy, signals = said(ledger, "threshold")
    other = strategies().create("threshold", {"round_trip_cost_bps": 900.0})
    _, same = check_replay(signals, other, [(SNAPSHOT, None)])
    assert not same.passed
    assert "becomes" in same.first
    moved = replace(SNAPSHOT, p_up=SNAPSHOT.p_up * 0.999)
    _, same = check_replay(signals, strategy, [(moved, None)])
    assert same.num_different == 80
    there, _ = check_replay(signals, strategy, [(replace(SNAPSHOT, data_fingerprint="1" * 64), None)])
    assert there.num_different == 80
    assert "candles 111111111111 there, 000000000000 in the ledger" in there.first
    there, _ = check_replay(signals, strategy, [(SNAPSHOT.of("AAA"), None)])
    assert there.num_different == 40
    assert "no such forecast in the snapshot" in there.first


def test_changed_candles_change_what_reads_them(ledger):
    strategy, signals = said(ledger, "bollinger", window=5, width=0.3)
    _, same = check_replay(
        signals, strategy, [(SNAPSHOT, make_candles(["AAA", "BBB"], num_candles=60, seed=1))]
    )
    assert not same.passed


def test_no_signals_are_no_proof(ledger):
    there, _ = check_replay(ledger.signals(), strategies().create("threshold"), [(SNAPSHOT, None)])
    assert not there.passed
