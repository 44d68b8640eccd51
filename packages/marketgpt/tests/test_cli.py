"""The commands' mistakes; what they do well is in test_demo and test_browser."""

from __future__ import annotations

import socket
from datetime import UTC, datetime, timedelta

import pytest

from marketgpt_core.cli import main


@pytest.fixture
def run(capsys):
    def run(*arguments: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(list(arguments))
        out, err = capsys.readouterr()
        return int(stop.value.code or 0), out, err

    return run


@pytest.fixture
def empty_ledger(tmp_path):
    from marketgpt_core.testing import make_candles
    from marketgpt_data_sources.writing import write_parquet
    from marketgpt_signals.ledger import Ledger

    with Ledger.open(tmp_path / "ledger.db"):
        pass
    write_parquet(make_candles(num_candles=30), tmp_path / "candles")
    return tmp_path


BEYOND = [
    (f"--host={host}",)
    for host in ("0.0.0.0", "192.168.1.4", "::", "example.com", "127.0.0.1.example.com", "")
]


@pytest.mark.parametrize("options", [*BEYOND, ("--require-key",)], ids=str)
def test_serve_wants_a_valid_key_before_it_listens_where_one_is_needed(
    run, empty_ledger, options, monkeypatch
):
    from marketgpt_signals.api.security.keys import Scope
    from marketgpt_signals.api.security.store import KeyStore
    from marketgpt_signals.ledger import Ledger

    monkeypatch.setattr("marketgpt.serve.listen", lambda host, port: pytest.fail("it listens"))
    path, now = empty_ledger / "ledger.db", datetime.now(UTC)
    refusal = (
        f"error: beyond loopback and with --require-key every request needs an API key, and {path} has none "
        f"that is valid: marketgpt keys create NAME --ledger {path}\n"
    )
    assert run("serve", str(empty_ledger), *options) == (2, "", refusal)
    with Ledger.open(path) as ledger:
        store = KeyStore(ledger.database)
        store.revoke(store.create("a", [Scope.READ], now)[0].id, now)
        store.create("b", [Scope.READ], now - timedelta(days=2), now - timedelta(days=1))
    assert run("serve", str(empty_ledger), *options) == (2, "", refusal)


def test_a_rate_limit_that_is_none_is_told(run, empty_ledger):
    code, out, err = run("serve", str(empty_ledger), "--rate-limit", "fast")
    assert (code, out) == (2, "")
    assert err == "error: rate 'fast': write a number and a unit, as 6000/minute or 50/second\n"


def test_serve_without_a_ledger_says_where_it_looked(run, tmp_path):
    code, out, err = run("serve", str(tmp_path))
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert str(tmp_path / "ledger.db") in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("port", ["0", "65536", "eighty"])
def test_serve_refuses_a_port_that_is_none(run, tmp_path, port):
    code, _, err = run("serve", str(tmp_path), "--port", port)
    assert code == 2
    assert err.startswith("error: Invalid value for '--port'")


def test_serve_says_which_source_it_cannot_open(run, empty_ledger):
    code, out, err = run("serve", str(empty_ledger), "--source", "parqet:x")
    assert (code, out) == (2, "")
    assert err.startswith("error: unknown data-source 'parqet'; did you mean 'parquet'?")


def test_a_taken_port_is_one_line(run, empty_ledger, nicegui_sandbox):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, out, err = run("serve", str(empty_ledger), "--port", port)
    assert (code, out) == (2, "")
    assert err == (
        f"error: cannot listen on 127.0.0.1 port {port}: Address already in use; choose another with --port\n"
    )


@pytest.mark.parametrize(
    "arguments", [["sed=3"], ["loop.max_epoch=3"], ["loop.max_epochs=none"], ["nonsense"]]
)
def test_demo_refuses_an_override_that_does_not_fit_and_writes_nothing(run, tmp_path, arguments):
    out = tmp_path / "demo"
    code, printed, err = run("demo", "--out", str(out), *arguments)
    assert (code, printed) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert not out.exists()


def test_demo_refuses_a_folder_that_holds_one(run, tmp_path):
    (tmp_path / "ledger.db").write_text("mine", encoding="utf-8")
    code, _, err = run("demo", "--out", str(tmp_path))
    assert code == 2
    assert err == (
        f"error: {tmp_path} already holds a demo (ledger.db); --overwrite replaces it, "
        "--out DIR writes elsewhere\n"
    )
    assert (tmp_path / "ledger.db").read_text(encoding="utf-8") == "mine"


def test_demo_refuses_a_negative_seed(run, tmp_path):
    code, _, err = run("demo", "--out", str(tmp_path), "--seed", "-1")
    assert code == 2
    assert "--seed" in err


def test_a_mistaken_override_does_not_cost_the_demo_that_is_there(run, tmp_path):
    (tmp_path / "ledger.db").write_text("mine", encoding="utf-8")
    code, _, err = run("demo", "--out", str(tmp_path), "--overwrite", "loop.max_epoch=3")
    assert code == 2
    assert "did you mean 'max_epochs'?" in err
    assert (tmp_path / "ledger.db").read_text(encoding="utf-8") == "mine"
