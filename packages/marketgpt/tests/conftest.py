"""Shared: a tiny demo, made once when a slow or browser test asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from marketgpt_core.clock import FixedClock
from marketgpt_core.times import to_datetime

# The demo's own path with as little of everything as still goes through every stage.
TINY = (
    'data.symbols=["AAPL","^GSPC"]',
    "data.start=2007-01-01",
    "data.end=2016-06-01",
    "engine.name=torch",
    "model.options={context=16,num_layers=1,dim=16,num_heads=2,dropout=0.1}",
    "loop.max_epochs=1",
    "evaluation.every=40",
    "evaluation.num_samples=20",
)


@pytest.fixture(scope="session")
def make_demo():
    import torch

    from marketgpt import run_demo

    def make(folder: Path, *, seed: int = 1, at: str = "2026-01-02", **options):
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return run_demo(folder, seed=seed, overrides=TINY, clock=FixedClock(to_datetime(at)), **options)
        finally:
            torch.set_num_threads(before)

    return make


@pytest.fixture(scope="session")
def tiny_demo(make_demo, tmp_path_factory):
    """The result of one tiny demo; only to be read."""
    return make_demo(tmp_path_factory.mktemp("tiny") / "demo")


@pytest.fixture
def nicegui_sandbox():
    """A NiceGUI without the traces of other tests, for tests that mount the dashboard."""
    from nicegui import Client
    from nicegui.testing.general import nicegui_reset_globals

    with nicegui_reset_globals():
        yield
        # Else the reset drops the modules of our page functions from sys.modules.
        Client.page_routes.clear()
