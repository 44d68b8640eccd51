from __future__ import annotations

import re
import types
from pathlib import Path

import pytest

from marketgpt_core.plugins import PluginGroup, hookimpl
from marketgpt_training.observers import GROUP, SPECS, Observers, RunInfo

RUN = RunInfo(path=Path(), total_steps=1, num_parameters=1, config={})


@pytest.fixture
def group():
    group = PluginGroup(GROUP, SPECS)
    group.load()
    return group


def _observer(function):
    module = types.ModuleType("observer")
    module.marketgpt_step_end = hookimpl(function)
    return module


def test_one_that_raises_is_reported_and_the_others_hear(group, caplog):
    heard = []

    def good(run, step):
        heard.append(step)

    def bad(step):
        raise ValueError("no disk")

    group._manager.register(_observer(bad), name="acme:bad")
    group._manager.register(_observer(good), name="acme:good")
    group._manager.check_pending()
    Observers(group).tell("step_end", run=RUN, step=3, metrics={})
    assert heard == [3]
    assert "observer acme:bad failed in step_end and is ignored: ValueError: no disk" in caplog.text


def test_strict_mode_raises(group, monkeypatch):
    def bad(step):
        raise ValueError("no disk")

    group._manager.register(_observer(bad), name="acme:bad")
    monkeypatch.setenv("MARKETGPT_STRICT_PLUGINS", "1")
    with pytest.raises(ValueError, match="no disk"):
        Observers(group).tell("step_end", run=RUN, step=3, metrics={})


def test_the_observer_of_the_page_works_as_it_stands(group, tmp_path):
    """docs/plugins/observer.md: its module is told what its own test tells."""
    page = Path(__file__).parents[3] / "docs" / "plugins" / "observer.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    code = next(block for block in blocks if "bell.log" in block)
    module = types.ModuleType("bell")
    exec(compile(code, str(page), "exec"), module.__dict__)
    group._manager.register(module, name="bell")
    group._manager.check_pending()
    run = RunInfo(path=tmp_path / "first", total_steps=4, num_parameters=7, config={"seed": 3})
    run.path.mkdir()
    observers = Observers(group)
    observers.tell("train_start", run=run)
    run.pace.begin(4)
    run.pace.advance(1, 0.5)
    observers.tell("step_end", run=run, step=1, metrics={"loss": 2.0, "nll": 1.5})
    for epoch, loss in enumerate((1.8, 1.9), start=1):
        observers.tell("epoch_end", run=run, epoch=epoch, metrics={"loss": loss, "nll": 1.4})
    observers.tell("train_end", run=run, error=None)
    said = (tmp_path / "bell.log").read_text(encoding="utf-8")
    assert said == "first: epoch 1: 1.8000, time left unknown\nfirst: done\n"
