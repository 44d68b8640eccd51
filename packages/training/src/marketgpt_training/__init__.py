"""Training MarketGPT: splits, loop, engines, evaluation.

Importing this module is cheap on purpose: the names below load torch only when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from marketgpt_core.lazy import lazy_front

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

__getattr__, __dir__ = lazy_front(__name__, _HOME)
