"""What a run on a store records: the fingerprint of the candles it read, the same from any source."""

from __future__ import annotations

from marketgpt_core.clock import FixedClock
from marketgpt_core.interval import Interval
from marketgpt_core.testing import make_candles
from marketgpt_core.times import to_datetime
from marketgpt_data_sources.store import Store
from marketgpt_training.pipeline import train

CLOCK = FixedClock(to_datetime("2026-01-02"))


def test_a_run_on_a_store_records_the_candles_it_read(make_config, tmp_path):
    candles = make_candles(("AAA", "BBB", "CCC"), num_candles=1_400)
    store = Store(tmp_path / "store", clock=CLOCK)
    for series in candles.values():
        store.update("yfinance", series, since=None, whole=True)
    config = make_config(
        f"data.source='store:{store.root}'", "data.symbols=['AAA', 'CCC']", "data.end=2020-01-01",
        "loop.max_epochs=1",
    )  # fmt: skip
    run = train(config, tmp_path / "run", clock=CLOCK)
    read = candles.select(["AAA", "CCC"]).between(None, "2020-01-01")
    assert run.data_fingerprint == read.fingerprint()
    assert run.data_fingerprint == store.read("yfinance", ["AAA", "CCC"], end="2020-01-01").fingerprint()
    # Of part of the candles; the store's own is of all it holds of the symbols.
    assert run.data_fingerprint != store.fingerprint("yfinance", Interval.DAY, ["AAA", "CCC"])
    # What is stored may grow or be adjusted: then it is not what the run saw.
    store.update("yfinance", make_candles(("AAA",), num_candles=1_400, seed=1)["AAA"], since=None, whole=True)
    assert run.data_fingerprint != store.read("yfinance", ["AAA", "CCC"], end="2020-01-01").fingerprint()
