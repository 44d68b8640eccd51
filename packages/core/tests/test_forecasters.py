from __future__ import annotations

from importlib.metadata import EntryPoint, EntryPoints

import pytest

from marketgpt_core.errors import PluginError
from marketgpt_core.forecasters import open_forecaster


def with_points(monkeypatch, *targets: tuple[str, str]) -> None:
    points = EntryPoints(EntryPoint(name, target, "marketgpt.forecasters") for name, target in targets)
    monkeypatch.setattr("marketgpt_core.forecasters.entry_points", lambda group: points)


def test_the_opener_is_found_and_called(monkeypatch):
    with_points(monkeypatch, ("run", "builtins:str"))
    assert open_forecaster("runs/a") == "runs/a"


def test_nothing_installed_and_something_broken_are_told(monkeypatch):
    with_points(monkeypatch)
    with pytest.raises(PluginError, match="nothing installed opens a run: pip install marketgpt-models"):
        open_forecaster("runs/a")
    with_points(monkeypatch, ("run", "no_such_module:open"))
    with pytest.raises(PluginError, match="cannot be loaded: ModuleNotFoundError"):
        open_forecaster("runs/a")
