"""``marketgpt plugins``: who provides what, and who is broken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from marketgpt_core.cli import main


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as stop:
        main(["plugins", *arguments])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def test_the_list_shows_kind_name_distribution_version_and_status(
    zoo: Any, dog: str, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.plugin("dog", dog)
    zoo.plugin("horse", "import not_installed_anywhere", requires=("not-installed-anywhere",))
    code, out, _ = run(capsys, "--json")
    assert code == 0
    rows = {(row["kind"], row["name"]): row for row in json.loads(out)}
    assert rows["animal", "dog"] == {
        "kind": "animal", "name": "dog", "distribution": "dog", "version": "1.0", "status": "ok", "error": "",
    }  # fmt: skip
    assert rows["animal", "cat"]["distribution"] == "marketgpt-zoo"
    assert rows["command", "plugins"]["distribution"] == "marketgpt-core"
    horse = rows["marketgpt.animals", "horse"]
    assert horse["status"] == "broken"
    assert horse["error"].endswith("; it needs not-installed-anywhere (not installed)")

    code, out, _ = run(capsys)
    assert code == 0
    header, *lines = out.splitlines()
    assert header.split() == ["kind", "name", "distribution", "version", "status"]
    (line,) = [line for line in lines if " horse " in line]
    assert "broken: ModuleNotFoundError" in line
    # Columns are aligned.
    assert line.index("broken") == header.index("status")


def test_a_disabled_plugin_is_listed_as_such(
    zoo: Any, dog: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.plugin("dog", dog)
    monkeypatch.setenv("MARKETGPT_DISABLE_PLUGINS", "dog")
    rows = {row["name"]: row for row in json.loads(run(capsys, "--json")[1])}
    assert rows["dog"]["status"] == "disabled"


def test_check_asks_for_a_name_that_exists_once(zoo: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = run(capsys, "check", "kat")
    assert code == 2
    assert err.startswith("error: no plugin provides 'kat'; did you mean 'cat'?")
    code, _, err = run(capsys, "check", "cat", "--kind", "anmal")
    assert code == 2
    assert "did you mean 'animal'" in err
    code, _, err = run(capsys, "check", "kat", "--kind", "animal")
    assert code == 2
    assert "unknown animal 'kat'; did you mean 'cat'?" in err


def test_strict_stops_at_the_first_broken_plugin(zoo: Any) -> None:
    zoo.plugin("horse", "import not_installed_anywhere")
    done = zoo.marketgpt("plugins", MARKETGPT_STRICT_PLUGINS="1")
    assert done.returncode == 2
    assert "error: skipping plugin 'horse' (horse 1.0): ModuleNotFoundError" in done.stderr
