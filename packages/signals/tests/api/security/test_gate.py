from __future__ import annotations

import asyncio
import json
import socket
import time
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import httpx
import pytest

from marketgpt_signals.api import Limits, create_app
from marketgpt_signals.api.security import ring
from marketgpt_signals.api.security.keys import Scope, key_text, new_secret
from marketgpt_signals.api.security.store import KeyStore

NOW = datetime(2016, 2, 1, 21, 30, tzinfo=UTC)  # of the fixture clock


@pytest.fixture
def store(sqlite_ledger, make_signal):
    sqlite_ledger.append([make_signal(day) for day in range(3)])
    return KeyStore(sqlite_ledger.database)


@pytest.fixture
def desk(sqlite_ledger, store, clock, make_client):
    """Make a client: of this machine, or of another."""

    def make(address: str = "127.0.0.1", base_url: str = "http://127.0.0.1:8501", **options):
        client = make_client(create_app(sqlite_ledger, clock=clock, **options))
        client._transport.client = (address, 50_000)
        client.base_url = base_url
        return client

    return make


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def problem(response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status
    return response.json()


AWAY = {"address": "192.0.2.7", "base_url": "http://signals.example"}


def test_without_a_key_this_machine_is_let_in_by_its_own_name(desk):
    for url in ("http://127.0.0.1:8501", "http://localhost", "http://[::1]:8501", "http://127.8.9.1"):
        assert desk(base_url=url).get("/v1/signals").status_code == 200, url
    assert desk("::1").get("/v1/signals").status_code == 200
    assert desk("::ffff:127.0.0.1").get("/v1/signals").status_code == 200


@pytest.mark.parametrize(
    "base_url",
    [
        "http://evil.example",
        "http://127.0.0.1.evil.example",
        "http://localhost.evil.example",
        "http://0x7f.1",
    ],
)
def test_another_name_that_leads_here_is_not_this_machine(desk, base_url):
    """A page elsewhere can make its own name lead here, and a browser ask it."""
    problem(desk(base_url=base_url).get("/v1/signals"), 401)


@pytest.mark.parametrize(
    "address", ["192.0.2.7", "10.0.0.1", "2001:db8::1", "::", "testclient", "127.0.0.1.x"]
)
def test_from_elsewhere_nothing_is_shown_without_a_key(desk, address):
    client = desk(address)
    for path in ("/v1/signals", "/v1/stream", "/metrics", "/v1/health", "/v1/nothing", "/", "/dashboard/"):
        problem(client.get(path), 401)
    assert client.get("/v1/health/live").status_code == 200


def test_the_documentation_is_open_to_all(desk):
    client = desk(**AWAY, require_key=True)
    assert client.get("/docs").status_code == 200
    assert client.get("/openapi.json").status_code == 200
    assert client.get("/static-offline-docs/swagger-ui.css").status_code == 200
    problem(client.get("/static-offline-docs"), 401)


def test_a_key_opens_from_anywhere_in_either_header(desk, store):
    _, text = store.create("a", [Scope.READ], NOW)
    client = desk(**AWAY)
    for headers in (bearer(text), {"X-API-Key": text}, {"authorization": f"bearer  {text} "}):
        assert client.get("/v1/signals", headers=headers).status_code == 200


def test_where_a_key_is_needed_this_machine_needs_it_too(desk, store):
    _, text = store.create("a", [Scope.READ], NOW)
    client = desk(require_key=True)
    problem(client.get("/v1/signals"), 401)
    assert client.get("/v1/signals", headers=bearer(text)).status_code == 200
    assert client.get("/v1/health/live").status_code == 200


def test_whatever_is_wrong_the_answer_is_the_same(desk, store, clock):
    key, text = store.create("a", [Scope.READ], NOW)
    _, expired = store.create("b", [Scope.READ], NOW, NOW + timedelta(days=1))
    taken, revoked = store.create("c", [Scope.READ], NOW)
    store.revoke(taken.id, NOW)
    clock.advance(timedelta(days=1))
    sent = [
        {}, bearer(expired), bearer(revoked), bearer(key_text(key.id, new_secret()[1])), bearer("x"),
        bearer(""), bearer(key_text(*new_secret())), {"Authorization": f"Basic {text}"},
        {"Authorization": text}, {"X-API-Key": ""}, {"X-API-Key": text.upper()}, bearer(f"{text} {text}"),
        bearer(text + "\xff"), {"Authorization": "Bearer x", "X-API-Key": text},
    ]  # fmt: skip
    client, seen = desk(**AWAY), set()
    for headers in sent:
        raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
        answer = client.get("/v1/signals", headers=raw)
        problem(answer, 401)
        assert answer.headers["www-authenticate"] == "Bearer"
        seen.add((answer.content, tuple(sorted(set(answer.headers) - {"date"}))))
    assert len(seen) == 1
    two = [(b"authorization", f"Bearer {text}".encode())] * 2
    problem(client.get("/v1/signals", headers=two), 401)
    assert client.get("/v1/signals", headers=bearer(text)).status_code == 200
    # A key that is wrong is wrong at home, too.
    problem(desk().get("/v1/signals", headers=bearer("x")), 401)


@pytest.mark.parametrize("scope", Scope)
def test_each_scope_opens_its_own_and_no_other(desk, store, scope):
    _, text = store.create("a", [scope], NOW)
    client = desk(**AWAY)
    asked = {
        Scope.READ: [
            ("GET", "/v1/signals"),
            ("GET", "/v1/backtests"),
            ("GET", "/v1/health"),
            ("HEAD", "/v1/x"),
        ],
        Scope.BACKTEST: [
            ("POST", "/v1/backtests"),
            ("DELETE", f"/v1/backtests/{'0' * 32}"),
            ("PUT", "/v1/x"),
        ],
        Scope.METRICS: [("GET", "/metrics")],
    }
    for needed, requests in asked.items():
        for method, path in requests:
            answer = client.request(method, path, headers=bearer(text), json={} if method == "POST" else None)
            if needed is scope:
                assert answer.status_code not in {401, 403}, (method, path)
                assert answer.status_code < 500
            else:
                assert answer.status_code == 403, (method, path)
                if method != "HEAD":
                    assert problem(answer, 403)["detail"] == f"this needs a key with the scope {needed}"


def test_what_changes_something_must_come_from_a_page_of_this_machine(desk):
    client, path = desk(), f"/v1/backtests/{'0' * 32}"
    problem(client.delete(path, headers={"Origin": "http://evil.example"}), 401)
    problem(client.delete(path, headers={"Origin": "null"}), 401)
    problem(client.delete(path, headers={"Origin": "http://["}), 401)
    problem(client.delete(path, headers={"Origin": "http://localhost:8501"}), 404)
    problem(client.delete(path), 404)


def test_a_revoked_key_stops_opening(desk, store, monkeypatch):
    monkeypatch.setattr(ring.KeyRing, "_is_old", lambda self: True)
    key, text = store.create("a", [Scope.READ], NOW)
    client = desk(**AWAY)
    assert client.get("/v1/signals", headers=bearer(text)).status_code == 200
    store.revoke(key.id, NOW)
    problem(client.get("/v1/signals", headers=bearer(text)), 401)


def test_a_request_reads_no_keys_of_the_database(desk, store, sqlite_ledger, monkeypatch):
    _, text = store.create("a", [Scope.READ], NOW)
    client, read = desk(**AWAY), sqlite_ledger.database.read
    assert client.get("/v1/health/live", headers=bearer(text)).status_code == 200
    monkeypatch.setattr(sqlite_ledger.database, "read", lambda: 1 / 0)
    for _ in range(20):
        problem(client.get("/v1/nothing", headers=bearer(text)), 404)
    monkeypatch.setattr(sqlite_ledger.database, "read", read)


def test_keys_that_cannot_be_read_are_a_503(desk, sqlite_ledger, monkeypatch, store):
    _, text = store.create("a", [Scope.READ], NOW)
    sqlite_ledger.database.path.unlink()
    for left in sqlite_ledger.database.path.parent.glob("file.db*"):
        left.unlink()
    sqlite_ledger.database.close()
    answer = desk(**AWAY).get("/v1/signals", headers=bearer(text))
    assert problem(answer, 503)["detail"] == "the ledger cannot be read"


def test_who_asks_too_much_is_told_when_to_come_again(desk, store):
    _, text = store.create("a", [Scope.READ], NOW)
    client = desk(limits=Limits(requests="5/minute"))
    seen = [client.get("/v1/health/live") for _ in range(7)]
    assert [one.status_code for one in seen] == [200] * 5 + [429] * 2
    assert [one.headers["ratelimit"].split(";")[1] for one in seen] == [
        f"r={left}" for left in (4, 3, 2, 1, 0, 0, 0)
    ]
    assert {one.headers["ratelimit-policy"] for one in seen} == {'"requests";q=5;w=60'}
    assert 1 <= int(seen[-1].headers["retry-after"]) <= 60
    problem(seen[-1], 429)
    # A key has its own; so has another address, and one network of IPv6 is one client.
    assert client.get("/v1/signals", headers=bearer(text)).headers["ratelimit"].startswith('"requests";r=4;')
    found = []
    for address in ("192.0.2.1", "2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "2001:db8:1:3::1"):
        client._transport.client = (address, 1)
        found.append(client.get("/v1/health/live").headers["ratelimit"].split(";")[1])
    assert found == ["r=4", "r=4", "r=3", "r=4"]


def test_guesses_are_counted_and_end_in_429(desk):
    client = desk(**AWAY, limits=Limits(requests="3/minute"))
    seen = [client.get("/v1/signals", headers=bearer(key_text(*new_secret()))) for _ in range(5)]
    assert [one.status_code for one in seen] == [401] * 3 + [429] * 2


def test_the_rate_recovers(desk, monkeypatch):
    now = [1_000_000.0]
    for module in ("storage.memory", "strategies"):
        monkeypatch.setattr(f"limits.aio.{module}.time", SimpleNamespace(time=lambda: now[0]))
    client = desk(limits=Limits(requests="2/minute"))
    assert [client.get("/v1/health/live").status_code for _ in range(3)] == [200, 200, 429]
    now[0] += 121
    assert client.get("/v1/health/live").status_code == 200


def test_addresses_are_too_long_at_some_point(desk):
    client = desk()
    assert client.get("/v1/health/live?" + "x" * 8_000).status_code == 200
    problem(client.get("/v1/health/live?" + "x" * 8_200), 414)
    problem(client.get("/v1/signals/" + "a" * 8_200), 414)


def pieces(size: int, sent: list[int]):
    for _ in range(size // 1_000):
        sent.append(1_000)
        yield b" " * 1_000


@pytest.mark.parametrize("whole", [True, False], ids=["length", "chunked"])
def test_bodies_are_too_long_at_some_point(desk, whole):
    client, sent = desk(), []
    content = b" " * 70_000 if whole else pieces(70_000, sent)
    answer = client.post("/v1/backtests", content=content, headers={"Content-Type": "application/json"})
    assert "65536 bytes" in problem(answer, 413)["detail"]
    assert answer.headers["connection"] == "close"
    within = b'{"horizon_bars": 5}' + b" " * 60_000
    answer = client.post("/v1/backtests", content=within, headers={"Content-Type": "application/json"})
    assert problem(answer, 503)["detail"] == "this server was started without a source of candles"


def test_over_a_real_connection_a_chunked_body_is_not_read_to_its_end(sqlite_ledger, serve):
    with serve(create_app(sqlite_ledger)) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall(
                b"POST /v1/backtests HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
                b"Content-Type: application/json\r\n\r\n" + (b"8000\r\n" + b" " * 0x8000 + b"\r\n") * 3
            )  # and no end
            answer = plain.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_come_is_not_waited_for(sqlite_ledger, serve):
    with serve(create_app(sqlite_ledger, limits=Limits(body_s=0.2))) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.sendall(b"POST /v1/backtests HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
            # Head and body may come one after the other; the server closes after both.
            answer = b"".join(iter(lambda: plain.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"] == "the body did not come within 0.2 s"


def test_streams_are_counted_and_given_back(sqlite_ledger, store, serve):
    _, text = store.create("a", [Scope.READ], datetime.now(UTC))
    with serve(create_app(sqlite_ledger, limits=Limits(streams=1))) as url:
        with httpx.stream("GET", f"{url}/v1/stream") as first:
            assert first.status_code == 200
            # Held open, its beginning has come: nothing waits for its end.
            chunks = first.iter_raw()
            assert next(chunks).startswith(b": listening")
            second = httpx.get(f"{url}/v1/stream")
            assert problem(second, 429)["detail"] == "1 streams are open already"
            assert second.headers["retry-after"] == "5"
            # Another client's are its own, and other routes are no streams.
            with httpx.stream("GET", f"{url}/v1/stream", headers=bearer(text)) as other:
                assert other.status_code == 200
            assert httpx.get(f"{url}/v1/signals").status_code == 200
        deadline = time.monotonic() + 10
        while True:
            with httpx.stream("GET", f"{url}/v1/stream") as again:
                if again.status_code == 200:
                    break
            assert time.monotonic() < deadline


def test_sockets_are_this_machines_own(sqlite_ledger):
    """The dashboard's: the gate stands before whatever is mounted."""

    def closed(host: str, address: str, origin: str = "http://localhost", **options) -> bool:
        sent = []

        async def sending(message):
            sent.append(message["type"])

        async def receiving():
            return {"type": "websocket.connect"}

        app = create_app(sqlite_ledger, **options)

        async def socket_app(scope, receive, send):
            await send({"type": "websocket.accept"})

        app.mount("/page", socket_app)
        headers = [(b"host", host.encode()), (b"origin", origin.encode())]
        scope = {
            "type": "websocket", "path": "/page/ws", "raw_path": b"/page/ws", "query_string": b"",
            "root_path": "", "headers": headers, "client": (address, 1), "scheme": "ws", "subprotocols": [],
            "app": app,
        }  # fmt: skip
        asyncio.run(app(scope, receiving, sending))
        return sent == ["websocket.close"]

    assert not closed("localhost:8501", "127.0.0.1")
    assert closed("evil.example", "127.0.0.1")
    assert closed("localhost", "192.0.2.1")
    assert closed("localhost", "127.0.0.1", origin="http://evil.example")
    assert closed("localhost", "127.0.0.1", require_key=True)


def test_mounted_under_a_path_the_gate_sees_its_own_routes(sqlite_ledger, store, make_client):
    from fastapi import FastAPI

    _, text = store.create("a", [Scope.METRICS], datetime.now(UTC))
    outer = FastAPI()
    outer.mount("/desk", create_app(sqlite_ledger, require_key=True))
    client = make_client(outer)
    assert client.get("/desk/v1/health/live").status_code == 200
    assert client.get("/desk/metrics", headers=bearer(text)).status_code == 200
    assert client.get("/desk/v1/signals").status_code == 401
    assert client.get("/desk/v1/signals", headers=bearer(text)).status_code == 403
