"""MarketGPT: train your own GPT on candles and turn it into calibrated LONG/SHORT signals.

This package is the front door: it installs every stage, runs the whole way as a demo, and serves the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

if TYPE_CHECKING:
    from marketgpt.demo import DemoResult, run_demo
    from marketgpt.serve import create_application
    from marketgpt_models.pretrained import Forecaster

_HOME = {
    "DemoResult": "demo",
    "Forecaster": ":marketgpt_models.pretrained",
    "create_application": "serve",
    "run_demo": "demo",
}

__all__ = ["DemoResult", "Forecaster", "create_application", "run_demo"]

__getattr__, __dir__ = lazy_front(__name__, _HOME)
