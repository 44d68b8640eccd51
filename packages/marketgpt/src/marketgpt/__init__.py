"""MarketGPT: train your own GPT on candles and turn it into calibrated LONG/SHORT signals.

This package is the front door: it installs every stage, runs the whole way as a demo, and serves the result.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marketgpt.demo import DemoResult, run_demo
    from marketgpt.serve import create_application

_HOME = {"DemoResult": "demo", "create_application": "serve", "run_demo": "demo"}

__all__ = ["DemoResult", "create_application", "run_demo"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
