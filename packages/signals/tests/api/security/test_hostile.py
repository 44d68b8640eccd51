"""What must never be asked, over a real connection, byte by byte: refused, and never a defect."""

from __future__ import annotations

import json
import socket

import pytest

from marketgpt_signals.api import create_app
from marketgpt_signals.ledger import Ledger

JSON = b"Content-Type: application/json"


@pytest.fixture(scope="module")
def asked(tmp_path_factory, make_signal, serve):
    """Send bytes, return (status, head, body) of the answer; the server must be as well after as before."""
    with Ledger.open(tmp_path_factory.mktemp("hostile") / "ledger.db") as ledger:
        ledger.append([make_signal(day) for day in range(3)])
        with serve(create_app(ledger)) as url:
            port = int(url.rpartition(":")[2])

            def ask(sent: bytes) -> tuple[int, str, bytes]:
                with socket.create_connection(("127.0.0.1", port), timeout=20) as plain:
                    plain.sendall(sent)
                    answer = b""
                    while part := plain.recv(65_536):
                        answer += part
                head, _, body = answer.partition(b"\r\n\r\n")
                return int(head.split()[1]), head.decode("latin-1"), body

            yield ask
            assert ask(get("/v1/signals"))[0] == 200
            assert ledger.summary().num_signals == 3


def get(path: str | bytes, *headers: bytes) -> bytes:
    path = path.encode() if isinstance(path, str) else path
    lines = [b"GET " + path + b" HTTP/1.1", b"Host: localhost", b"Connection: close", *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST /v1/backtests HTTP/1.1", b"Host: localhost", b"Connection: close", *headers]
    return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


PATHS = [
    "/v1/signals?symbol=%27%3B%20DROP%20TABLE%20signals%3B--", "/v1/signals?symbol=AAA%27%20OR%201%3D1",
    "/v1/signals?symbol=..%2F..%2Fetc%2Fpasswd", "/v1/signals?symbol=%00", "/v1/signals?symbol=%ff%fe",
    "/v1/signals?symbol=%C0%AF", "/v1/signals?symbol=%ED%A0%80", "/v1/signals?symbol=A%0d%0aX-Evil:%201",
    "/v1/signals?side=LONG%27--", "/v1/signals?cursor=" + "A" * 5_000, "/v1/signals?cursor=%00%ff",
    "/v1/signals?limit=" + "9" * 4_000, "/v1/signals?limit=-" + "9" * 400, "/v1/signals?limit=1e309",
    "/v1/signals?since=999999999-01-01", "/v1/signals?since=-1", "/v1/signals?horizon=" + "1" * 30,
    "/v1/signals?min_probability=1e999", "/v1/signals?" + "&".join(["symbol=AAA"] * 500) + "&x",
    "/v1/signals?" + "a" * 9_000, "/v1/signals/..%2f..%2fetc", "/v1/signals/%2e%2e/%2e%2e/etc/passwd",
    "/v1/signals/" + "0" * 31 + "%27", "/v1/signals/%ff%fe", "/../../../etc/passwd", "//etc/passwd", "/%00",
    "/v1/bands?symbol=..%2F..%2Fx", "/v1/bands?symbol=%ff", "/v1/forecasts?symbol=%ff",
    "/v1/models/%2e%2e%2f",
    "/v1/models/" + "m" * 5_000, "/v1/models/%ff", "/v1/backtests/%27%20OR%201", "/v1/backtests?cursor=%ff",
    "/v1/backtests?status=%00", "/v1/stream?symbol=%ff", "/v1/outcomes?cursor=" + "/" * 100,
    "/static-offline-docs/..%2f..%2fcore.py", "/static-offline-docs/%00", "/metrics/..", "/V1/SIGNALS",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS, ids=range(len(PATHS)))
def test_hostile_paths_and_parameters(asked, path):
    status, head, body = asked(get(path))
    if status == 307:  # to itself without a slash at the end
        assert "location: http://localhost/v1/models/..\r\n" in f"{head}\r\n"
        return
    # Bands and forecasts are 503 here, as the server has none; nothing else may be.
    unavailable = {503} if path.startswith(("/v1/bands", "/v1/forecasts")) else set()
    assert status in {400, 401, 404, 414, 422} | unavailable, (status, body[:200])
    assert "x-evil" not in head.lower()
    if status != 404 or "static" not in path:
        assert "application/problem+json" in head
        assert len(body) < 2_000
        assert b"Traceback" not in body
        assert b"/root" not in body


HEADERS = [
    b"Authorization: Bearer \xff\xfe\x00"[:-1], b"Authorization: Bearer " + b"A" * 20_000,
    b"Authorization: " + b"Bearer " * 500, b"X-API-Key: mgpt_" + b"0" * 16 + b"_" + b"A" * 43,
    b"Authorization: Bearer mgpt_' OR 1=1 --", b"Host: evil.example", b"X-API-Key: %0d%0aX-Evil: 1",
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_hostile_headers_are_401(asked, header):
    status, head, _ = asked(get("/v1/signals", header))
    assert status == 401
    assert "x-evil" not in head.lower()


@pytest.mark.parametrize(
    "header",
    [
        b"Last-Event-ID: 1\x00",
        b"A: b\rX: c",
        b"Content-Length: -1",
        b"Transfer-Encoding: chunked, x",
        b"\xff: x",
    ],
    ids=range(5),
)
def test_headers_that_are_none_are_400(asked, header):
    assert asked(get("/v1/stream", header))[0] == 400


def test_headers_that_are_only_odd_change_nothing(asked):
    for header in (b'If-None-Match: "' + b"x" * 5_000, b"Accept: \xff", b"Cookie: " + b"a=b;" * 1_000):
        assert asked(get("/v1/signals", header))[0] == 200
    for last in (b"-1", b"9" * 30, b"1' OR", b"\xff"):
        assert asked(get("/v1/stream", b"Last-Event-ID: " + last))[0] == 422


BODIES = [
    b"", b"{", b"null", b"[]", b'"' + b"a" * 60_000 + b'"', b"\xff\xfe\x00", b"\x00" * 100, b"[" * 60_000,
    b'{"a":' * 10_000, b'{"horizon_bars": ' + b"9" * 5_000 + b"}", b'{"horizon_bars": 1e999}',
    b'{"horizon_bars": NaN}', b'{"horizon_bars": 5, "symbols": ["\\ud800"]}',
    b'{"horizon_bars": 5, "symbols": ["../x"]}', b'{"horizon_bars": 5, "strategy": "\\u0000"}',
    b'{"horizon_bars": 5, "since": "99999-01-01"}', b'{"horizon_bars": 5, "cost": {"fee_bps": -1}}',
    b'{"horizon_bars": 5, "num_resamples": 100000000000}', b'{"horizon_bars": 5, "__class__": "x"}',
]  # fmt: skip


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_hostile_bodies(asked, body):
    status, head, answer = asked(post(body, JSON))
    assert status in {400, 422}, (status, answer[:300])
    assert "application/problem+json" in head
    assert len(answer) < 3_000
    assert b"Traceback" not in answer
    json.loads(answer)


def test_gigantic_bodies(asked):
    assert asked(post(b"", JSON).replace(b"Length: 0", b"Length: 999999999999"))[0] == 413
    assert asked(post(b"", JSON).replace(b"Length: 0", b"Length: " + b"9" * 19))[0] in {400, 413}
    assert asked(post(b"x" * 70_000, JSON))[0] == 413


@pytest.mark.parametrize(
    "kind", [b"text/plain", b"application/x-www-form-urlencoded", b"multipart/form-data", b""]
)
def test_a_page_elsewhere_cannot_post_a_form(asked, kind):
    """Kinds of content that a browser sends to anybody without asking."""
    status, _, _ = asked(post(b'{"horizon_bars": 5}', b"Content-Type: " + kind))
    assert status == 422
