from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from marketgpt_core.cli.root import main
from marketgpt_signals.ledger import Ledger


@pytest.fixture
def run(capsys, tmp_path):
    Ledger.open(tmp_path / "ledger.db").close()

    def run(*arguments: str, ledger: str = "ledger.db") -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as stop:
            main(["keys", *arguments, "--ledger", str(tmp_path / ledger)])
        done = capsys.readouterr()
        return stop.value.code, done.out, done.err

    return run


def test_a_key_is_made_shown_once_listed_and_taken_back(run):
    code, out, err = run("create", "desk 7", "--scope", "read", "--scope", "backtest", "--expires", "90d")
    assert code == 0
    text = out.strip()
    assert re.fullmatch(r"mgpt_[0-9a-f]{16}_[\w-]{43}", text)
    told = r"key [0-9a-f]{16} of desk 7: backtest, read; expires [\d-]{10} [\d:]{5} UTC. It is not shown .*\n"
    assert re.fullmatch(told, err)
    key_id = text.split("_")[1]
    code, out, _ = run("list")
    assert code == 0
    assert key_id in out
    assert "active" in out
    assert text.split("_", 2)[2] not in out
    assert run("revoke", key_id) == (0, f"key {key_id} of desk 7 is revoked\n", "")
    (shown,) = json.loads(run("list", "--json")[1])
    assert (shown["state"], shown["scopes"], shown["name"]) == ("revoked", ["backtest", "read"], "desk 7")
    assert "secret_sha256" not in shown


def test_json_holds_the_key(run):
    made = json.loads(run("create", "a", "--json")[1])
    assert made["key"].startswith(f"mgpt_{made['id']}_")
    assert (made["scopes"], made["expires_at"], made["state"]) == (["read"], None, "active")
    assert json.loads(run("revoke", made["id"], "--json")[1])["state"] == "revoked"


def test_no_keys_are_told(run):
    assert run("list") == (0, "", "there are no keys yet: marketgpt keys create\n")
    assert run("list", "--json") == (0, "[]\n", "")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ("create", "a", "--expires", "soon"),
            "'soon' is not an age (from --expires): write 90m, 12h, 3d or 1w",
        ),
        (("create", "a", "--expires", "0d"), "has passed"),
        (("create", "a", "--scope", "all"), "'all' is not one of 'read', 'backtest', 'metrics'"),
        (("create", " "), "1 to 100 printable characters"),
        (("revoke", "0000"), "has no key '0000'; marketgpt keys list shows them"),
    ],
)
def test_mistakes_are_one_line(run, arguments, told):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert told in err
    assert err.count("\n") == 1
    assert json.loads(run("list", "--json")[1]) == []


def test_a_ledger_that_is_not_there_is_not_made(run, tmp_path):
    code, _, err = run("create", "a", ledger="no.db")
    assert code == 2
    assert "there is no ledger at" in err
    assert not (tmp_path / "no.db").exists()


def test_the_command_loads_nothing_heavy():
    heavy = "('torch', 'pandas', 'numpy', 'pydantic', 'fastapi', 'sqlalchemy', 'limits')"
    code = f"import sys, marketgpt_signals.api.security.cli; print([m for m in {heavy} if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "[]\n"
    )
