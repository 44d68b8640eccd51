from __future__ import annotations

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
