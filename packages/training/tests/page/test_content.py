"""What the page says, without a page."""

from __future__ import annotations

import asyncio
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from marketgpt_core.cli import main
from marketgpt_core.clock import FixedClock
from marketgpt_training.page import charts
from marketgpt_training.page.content import COLUMNS, events, facts, short, summary, table_rows
from marketgpt_training.page.curves import Curves
from marketgpt_training.page.watch import Runs, RunsWatch

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
HOSTILE = "<img src=x onerror=alert(1)>"


def write(folder, **values):
    folder.mkdir(parents=True, exist_ok=True)
    said = {"state": "running", "updated_at": NOW.isoformat(), "step": 5, "total_steps": 10, **values}
    (folder / "status.json").write_text(json.dumps(said), encoding="utf-8")


def states(*folders):
    watch = RunsWatch(Runs(parents=folders), clock=FixedClock(NOW))
    return asyncio.run(watch.states())


@pytest.fixture
def runs(tmp_path):
    write(
        tmp_path / "running", loss=2.5, eta_s=60.0, eta_at_most=True, gpu_utilisation=0.5, candles_per_s=1_000
    )
    write(tmp_path / "silent", updated_at="2026-01-02T11:00:00+00:00")
    write(tmp_path / HOSTILE, state="failed", error=HOSTILE + "\x1b[31m")
    write(tmp_path / "done", state="trained")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "status.json").write_text("{", encoding="utf-8")
    return tmp_path


def test_the_table_has_those_first_that_need_somebody(runs):
    rows = table_rows(states(runs))
    assert [row.cells[1] for row in rows] == ["running", "silent", "failed", "unreadable", "trained"]
    assert [row.tone for row in rows] == ["good", "warn", "bad", "bad", "idle"]
    assert dict(zip(COLUMNS, rows[0].cells, strict=True)) == {
        "Run": f"{runs}/running",
        "State": "running",
        "Step": "5 / 10",
        "Loss": "2.500",
        "Candles/s": "1,000",
        "Left": "at most 0:01:00",
        "Kept": "-",
        "GPU": "50%",
    }
    assert rows[2].error == HOSTILE + "\N{REPLACEMENT CHARACTER}[31m"
    assert "status.json" in rows[3].error
    assert summary(states(runs)) == ("1 running", "good")


def test_no_run_is_no_error(tmp_path):
    assert states(tmp_path / "nowhere") == []
    assert summary([]) == ("nothing running", "idle")


def test_many_runs_are_bounded(tmp_path):
    for number in range(103):
        write(tmp_path / f"run{number:03}")
    assert len(table_rows(states(tmp_path))) == 100


def test_facts_and_events_of_a_run(runs):
    noted = [
        {"at": NOW.isoformat(), "what": what, "step": step}
        for what, step in (("start", 0), ("checkpoint", 4))
    ]
    write(
        runs / "running",
        events=[*noted, {"what": HOSTILE}, 3, {"at": "x", "what": "y", "step": 1}],
        starts=2,
        spent_s=90,
    )
    (runs / "running" / "metrics.jsonl").write_text(
        '{"kind": "epoch", "step": 4, "loss": 2.0}\n'
        '{"kind": "spoiled", "step": 2, "epoch": 1, "batch": 3, "loss": "inf"}\n',
        encoding="utf-8",
    )
    curves = Curves(runs / "running")
    curves.update()
    state = next(one for one in states(runs) if one["run"].endswith("running"))
    told = dict(facts(state, curves))
    assert told["Step"] == "5 / 10  (50%)"
    assert told["Best validation"] == "2.0000 nat at 4"
    assert told["Spent"] == "0:01:30 in 2 starts"
    assert "MFU" not in told
    assert [said for _, said in events(runs / "running", curves)] == [
        "checkpoint at step 4",
        "left out batch 3 of epoch 1, loss inf",
        "start at step 0",
    ]


def test_charts_hold_the_points_and_no_line_without_any(tmp_path):
    (tmp_path / "metrics.jsonl").write_text(
        '{"kind": "step", "step": 1, "loss": 2.0, "rss_gib": 1.0}\n'
        '{"kind": "epoch", "step": 1, "loss": 1.5}\n',
        encoding="utf-8",
    )
    curves = Curves(tmp_path)
    curves.update()
    loss = {one["id"]: one["data"] for one in charts.option("loss", curves)["series"]}
    assert loss == {"loss": [[1.0, 2.0]], "smooth": [[1.0, 2.0]], "validation": [[1.0, 1.5]]}
    assert [one["id"] for one in charts.option("machine", curves)["series"]] == ["rss_gib"]
    assert not charts.has_points("gpu", curves)
    json.dumps([charts.option(name, curves) for name, _, _ in charts.CHARTS], allow_nan=False)


def test_a_look_is_shared_by_all_pages(runs, monkeypatch):
    looks = []
    watch = RunsWatch(Runs(parents=(runs,)), interval_s=60, clock=FixedClock(NOW))
    look = watch._look
    monkeypatch.setattr(watch, "_look", lambda: looks.append(1) or look())

    async def ask():
        await asyncio.gather(*(watch.states() for _ in range(5)))
        return [await watch.curves(str(runs / name)) for name in ("running", "done")]

    assert len(asyncio.run(ask())) == 2
    assert looks == [1]


def test_a_file_nobody_may_read_is_that_runs_trouble(runs):
    (runs / "done" / "status.json").unlink()
    (runs / "done" / "status.json").mkdir()
    os.mkfifo(runs / "silent" / "metrics.jsonl")
    rows = {Path(one["run"]).name: one for one in states(runs)}
    assert len(rows) == 5
    assert rows["done"]["state"] == "unreadable"
    curves = Curves(runs / "silent")
    assert curves.update()  # a pipe is no file: it is not waited for


def test_text_is_cut_and_on_one_line():
    assert short("a\nb" + "c" * 400, 10) == "a\N{REPLACEMENT CHARACTER}bcccccc…"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "nowhere: no such folder"),
        (["--port", "0"], "0 is not in the range"),
        (["--host", "0.0.0.0"], "No such option"),
    ],
)
def test_the_command_refuses_in_one_line(arguments, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(["train", "page", *arguments])
    assert stop.value.code == 2
    assert said.casefold() in capsys.readouterr().err.casefold()


def test_without_nicegui_it_says_what_to_install(monkeypatch, capsys):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "nicegui" else find(name))
    with pytest.raises(SystemExit) as stop:
        main(["train", "page"])
    assert stop.value.code == 2
    assert "the page needs nicegui: pip install 'marketgpt-training[page]'" in capsys.readouterr().err


def test_a_port_that_is_taken_is_one_line():
    import socket

    from marketgpt_core.errors import ConfigError
    from marketgpt_core.web.listening import listen

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {port}: .*in use.*--port"):
            listen("127.0.0.1", port)
