"""Training MarketGPT: splits, loop, engines, evaluation.

Importing this module is cheap on purpose: the names below load torch only when first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from marketgpt_training.base import TrainingEngine
    from marketgpt_training.config import TrainConfig, preset, preset_names
    from marketgpt_training.evaluation.evaluate import Evaluation, evaluate
    from marketgpt_training.pipeline import train

_HOME = {
    "Evaluation": "evaluation.evaluate",
    "TrainConfig": "config",
    "TrainingEngine": "base",
    "evaluate": "evaluation.evaluate",
    "preset": "config",
    "preset_names": "config",
    "train": "pipeline",
}

__all__ = ["Evaluation", "TrainConfig", "TrainingEngine", "evaluate", "preset", "preset_names", "train"]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return __all__
