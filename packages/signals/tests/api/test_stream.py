"""The stream over a real connection."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from marketgpt_signals.api import create_app
from marketgpt_signals.ledger import Ledger

SERVER = """
import sys, uvicorn
from marketgpt_signals import Ledger, create_app
from marketgpt_signals.api import Limits
app = create_app(Ledger.open(sys.argv[1], must_exist=True), limits=Limits(streams=600))
uvicorn.run(app, port=int(sys.argv[2]), log_level="info", timeout_graceful_shutdown=10)
"""


@pytest.fixture
def url(sqlite_ledger, make_signal, serve):
    sqlite_ledger.append([make_signal(day) for day in range(3)])
    with serve(create_app(sqlite_ledger)) as url:
        yield f"{url}/v1/stream"


def read(url: str, until: str, **options) -> tuple[httpx.Response, str]:
    text = ""
    with httpx.stream("GET", url, timeout=10, **options) as response:
        for chunk in response.iter_text():
            text += chunk
            if until in text:
                break
    return response, text


def test_it_resumes_after_the_event_that_is_named(url):
    response, text = read(url, "id: 3", headers={"Last-Event-ID": "1"})
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert [line for line in text.splitlines() if line.startswith("id")] == ["id: 1", "id: 2", "id: 3"]
    assert text.count("event: signal") == 2
    assert "retry: 1000" in text


def test_without_it_the_stream_begins_now(url):
    _, text = read(url, "\r\n\r\n")
    assert text == ": listening\r\nid: 3\r\nretry: 1000\r\n\r\n"


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "1" * 19, "", "4", "1; DROP TABLE signals", "½"])
def test_a_number_that_is_none_is_refused(url, last):
    response = httpx.get(url, headers={"Last-Event-ID": last.encode()})
    assert response.status_code == 422
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("query", ["symbol=../x", "side=UP", "market=mars", "limit=5", "latest=true"])
def test_a_filter_that_is_none_is_refused(url, query):
    assert httpx.get(f"{url}?{query}").status_code == 422


def test_as_many_as_may_listen(url, monkeypatch):
    monkeypatch.setattr("marketgpt_signals.api.feed._MOST_LISTENERS", 1)
    with httpx.stream("GET", url) as first:
        chunks = first.iter_raw()
        next(chunks)
        second = httpx.get(url)
    assert second.status_code == 503
    assert second.json()["detail"] == "as many listen as may; come again later"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def server(tmp_path, make_signal):
    """A server in a process of its own: (process, port, ledger)."""
    with Ledger.open(tmp_path / "ledger.db") as ledger:
        ledger.append([make_signal(0)])
        port = free_port()
        command = [sys.executable, "-c", SERVER, str(tmp_path / "ledger.db"), str(port)]
        with Path(tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            while True:
                try:
                    httpx.get(f"http://127.0.0.1:{port}/v1/health/ready").raise_for_status()
                    break
                except httpx.TransportError:
                    assert process.poll() is None
                    time.sleep(0.05)
            yield process, port, ledger
        finally:
            process.kill()
            process.wait()


def test_a_server_that_is_stopped_ends_its_streams_cleanly(server, tmp_path):
    process, port, _ = server
    with httpx.stream("GET", f"http://127.0.0.1:{port}/v1/stream", timeout=20) as response:
        chunks = response.iter_raw()
        next(chunks)
        os.kill(process.pid, signal.SIGTERM)
        assert list(chunks) == []  # ended, not cut: httpx minds an answer that stops half way
    assert process.wait(timeout=10) in {0, -signal.SIGTERM}
    log = (tmp_path / "log").read_text()
    assert "Traceback" not in log
    assert "ERROR" not in log
    assert "Finished server process" in log


async def listener(port: int, until: int) -> list[int]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    found = []
    while not found or found[-1] < until:
        line = await reader.readline()
        assert line, f"cut after {found[-3:]}"
        if line.startswith(b"id: "):
            found.append(int(line[4:]))
    writer.close()
    return found


async def wedged(port: int, *, forever: asyncio.Event) -> None:
    """Somebody who asks and never reads, with as little room as the system allows."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    plain.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(plain, ("127.0.0.1", port))
    await loop.sock_sendall(plain, b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 0\r\n\r\n")
    await forever.wait()
    plain.close()


@pytest.mark.slow
def test_500_listen_to_one_process_and_those_who_take_nothing_harm_none(server, make_signal):
    """500 get each of 2,000 signals once and in order, while 5 take nothing, and requests are answered."""
    _, port, ledger = server

    async def main():
        forever, taken_s = asyncio.Event(), []
        slow = [asyncio.create_task(wedged(port, forever=forever)) for _ in range(5)]
        fast = [asyncio.create_task(listener(port, 2_001)) for _ in range(500)]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            while "marketgpt_streams_open 505.0" not in (await client.get("/metrics")).text:
                await asyncio.sleep(0.2)
            for day in range(1, 2_001, 50):
                signals = [make_signal(one) for one in range(day, day + 50)]
                await asyncio.to_thread(ledger.append, signals)
                begun = time.perf_counter()
                assert (await client.get("/v1/signals?limit=10", timeout=30)).status_code == 200
                taken_s.append(time.perf_counter() - begun)
        found = await asyncio.gather(*fast)
        forever.set()
        await asyncio.gather(*slow)
        return found, taken_s

    begun = time.perf_counter()
    found, taken_s = asyncio.run(asyncio.wait_for(main(), 200))
    assert all(one == list(range(1, 2_002)) for one in found)
    taken_s.sort()
    middle, worst = taken_s[len(taken_s) // 2] * 1e3, taken_s[-1] * 1e3
    print(
        f"{time.perf_counter() - begun:.1f} s; a page meanwhile took {middle:.0f} ms, at most {worst:.0f} ms"
    )
