"""The API and the dashboard in one application, asked over HTTP without a server."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from marketgpt.serve import candles_of, create_application
from marketgpt_core.clock import FixedClock
from marketgpt_core.errors import MarketGPTError
from marketgpt_core.plugins import registry
from marketgpt_core.testing import make_candles, make_forecast
from marketgpt_core.times import to_datetime
from marketgpt_data_sources.writing import write_parquet
from marketgpt_signals.api.security.keys import Scope
from marketgpt_signals.api.security.store import KeyStore
from marketgpt_signals.ledger import Ledger

# NiceGUI looks at every object of the process; one of torch's answers with a warning.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.distributed.reduce_op. is deprecated:FutureWarning")


@pytest.fixture
def candles():
    return make_candles(("AAA", "BBB"), num_candles=120, start="2015-09-01")


@pytest.fixture
def source(tmp_path, candles):
    write_parquet(candles, tmp_path / "candles")
    return f"parquet:{tmp_path / 'candles'}"


@pytest.fixture
def app(tmp_path, source, nicegui_sandbox):
    now = to_datetime("2016-01-05") + timedelta(hours=22)
    strategy = registry("signal-strategy").create("threshold", {"horizons": (5, 10)})
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.append(strategy.signals(make_forecast(drift=0.002), created_at=now))
        yield create_application(ledger, candles_of(source), clock=FixedClock(now))


def test_the_api_is_given_the_candles_and_forecasts(tmp_path, source, nicegui_sandbox):
    forecast = make_forecast(drift=0.002)
    forecast.to_frame().to_parquet(tmp_path / "forecasts.parquet")
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        app = create_application(
            ledger, candles_of(source), source=source, forecasts=tmp_path / "forecasts.parquet"
        )
        paths = ("/v1/bands?symbol=AAA", "/v1/forecasts", "/v1/backtests", "/v1/health/ready", "/metrics")
        bands, forecasts, jobs, ready, metrics = ask(app, *(("GET", path) for path in paths))
    assert [one["name"] for one in bands.json()["bands"]][:4] == ["1w", "2w", "1m", "2m"]
    assert len(forecasts.json()["items"]) == len(forecast)
    assert (jobs.status_code, ready.status_code) == (200, 200)
    assert 'route="/v1/bands",status="200"} 1.0' in metrics.text


def ask(app, *requests):
    """Start the application, send every (method, path), stop it."""

    async def run():
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=transport, base_url="http://127.0.0.1", follow_redirects=True
            ) as client,
        ):
            return [await client.request(method, path) for method, path in requests]

    return asyncio.run(run())


def test_the_api_and_the_dashboard_answer_side_by_side(app):
    pages = ("/docs", "/dashboard", "/dashboard/?symbol=AAA&horizon=5")
    paths = ("/v1/health", "/v1/signals?limit=100", "/v1/nothing", *pages)
    health, signals, nothing, *shown = ask(app, *(("GET", path) for path in paths))
    assert health.status_code == 200
    items = signals.json()["items"]
    # Two symbols, two dates, two horizons.
    assert len(items) == 8
    assert {item["symbol"] for item in items} == {"AAA", "BBB"}
    assert {item["side"] for item in items} == {"LONG"}
    assert nothing.status_code == 404
    for path, answer in zip(pages, shown, strict=True):
        assert answer.status_code == 200, path
        assert answer.headers["content-type"].startswith("text/html")
    assert "<title>MarketGPT</title>" in shown[1].text


def test_the_application_writes_nothing(app):
    answers = ask(app, *((method, "/v1/signals") for method in ("POST", "PUT", "DELETE", "PATCH")))
    assert [answer.status_code for answer in answers] == [405] * 4


def test_candles_of_gives_a_known_symbol_once_and_none_for_an_unknown_one(source, candles):
    find = candles_of(source)
    found = find("AAA")
    assert found is not None
    assert found.close.tolist() == candles["AAA"].close.tolist()
    assert find("AAA") is found
    assert find("ZZZ") is None
    # A ledger is untrusted: a symbol that is none must not take the page down.
    assert find("../../etc/passwd") is None


@pytest.mark.parametrize("text", ["parquet", "parquet:", "parquet:no/such/folder", "nothing:x"])
def test_a_source_that_cannot_be_opened_says_so_at_once(text):
    with pytest.raises(MarketGPTError):
        candles_of(text)


def test_where_a_key_is_needed_there_is_no_dashboard(tmp_path, source):
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        app = create_application(ledger, candles_of(source), require_key=True)
        asked = ask(app, ("GET", "/dashboard"), ("GET", "/v1/signals"), ("GET", "/v1/health/live"))
    assert [answer.status_code for answer in asked] == [401, 401, 200]
    assert not [route for route in app.routes if "dashboard" in getattr(route, "path", "")]


@pytest.mark.slow
def test_beyond_loopback_a_key_opens_and_nothing_else_does(tmp_path, source):
    """The command, listening everywhere, asked from this machine: also here a key is needed."""
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        _, key = KeyStore(ledger.database).create("a", [Scope.READ], datetime.now(UTC))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = [
        sys.executable, "-c", "from marketgpt_core.cli import main; main()", "serve", str(tmp_path),
        "--source", source, "--host", "0.0.0.0", "--port", str(port),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        assert line.startswith("no dashboard, as it knows no keys   API http://0.0.0.0:"), (
            process.stderr.read()
        )
        headers = {"Authorization": f"Bearer {key}"}
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            while True:
                try:
                    client.get("/v1/health/live").raise_for_status()
                    break
                except httpx.ConnectError:
                    time.sleep(0.05)
            assert client.get("/v1/signals").status_code == 401
            assert client.get("/metrics").status_code == 401
            assert client.get("/dashboard").status_code == 401
            assert client.get("/v1/signals", headers=headers).status_code == 200
            assert client.get("/metrics", headers=headers).status_code == 403
            assert client.get("/dashboard", headers=headers).status_code == 404
        # A header without end is cut off, not gathered.
        with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
            plain.sendall(b"GET /v1/signals HTTP/1.1\r\nHost: localhost\r\nX: ")
            with pytest.raises(ConnectionError):  # noqa: PT012 - whichever of many is the first to be cut
                for _ in range(100):
                    plain.sendall(b"a" * 1_000_000)
    finally:
        process.terminate()
        process.communicate(timeout=20)
