"""The benchmark of the API's load, for a few seconds: a real server that wants a key, every route."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from marketgpt_core.plugins import registry
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_data_sources.writing import write_parquet
from marketgpt_signals.api.security.keys import Scope
from marketgpt_signals.api.security.store import KeyStore
from marketgpt_signals.ledger import Ledger

BENCHMARK = Path(__file__).parents[3] / "benchmarks/api_load.py"
NOW = datetime(2026, 1, 2, tzinfo=UTC)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not BENCHMARK.exists(), reason="not in a checkout: there are no benchmarks"),
]


@pytest.fixture
def folder(tmp_path):
    """What `marketgpt serve` takes."""
    candles = make_candles(("AAPL", "BTC-USD"), num_candles=400)
    write_parquet(candles, tmp_path / "candles")
    days = [str(day)[:10] for day in candles["AAPL"].time[100:300]]
    forecast = make_forecast(candles.symbols, as_of=days, drift=0.001)
    forecast.to_frame().to_parquet(tmp_path / "forecasts.parquet")
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.append(registry("signal-strategy").create("threshold", {}).signals(forecast, created_at=NOW))
    return tmp_path


def test_200_requests_a_second_are_all_answered(folder):
    with Ledger.open(folder / "ledger.db") as ledger:
        _, key = KeyStore(ledger.database).create("load", [Scope.READ, Scope.METRICS], datetime.now(UTC))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    main = [sys.executable, "-c", "from marketgpt_core.cli import main; main()"]
    options = ["--port", port, "--require-key", "--rate-limit", "1000/second"]
    server = subprocess.Popen([*main, "serve", str(folder), *options], stdout=subprocess.PIPE)
    try:
        assert b"/docs" in server.stdout.readline()
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/v1/health/live").raise_for_status()
                break
            except httpx.TransportError:
                time.sleep(0.05)
        asked = [str(BENCHMARK), "--port", port, "--key", key, "--rate", "200", "--seconds", "5"]
        found = subprocess.run([sys.executable, *asked], capture_output=True, check=True, timeout=120)
    finally:
        server.terminate()
        server.communicate(timeout=20)
    told = json.loads(found.stdout)
    print(told)
    assert told["statuses"] == {"200": 1_000}
    assert len(told["by_path"]) == 12
    # How fast is the benchmark's to say, on a quiet machine; here only that nothing piles up.
    assert told["per_second"] > 150
    assert told["median_ms"] < 100
