"""Telling observers of a run what happens; one that fails is reported and training goes on."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from marketgpt_core.plugins import PluginGroup, plugin_group
from marketgpt_core.plugins.discovery import strict
from marketgpt_training.pace import Pace

logger = logging.getLogger(__name__)

GROUP = "marketgpt.training"
SPECS = "marketgpt_training.hookspecs"


@dataclass(frozen=True)
class RunInfo:
    """What observers are told about a run.

    Attributes:
        path: The run's folder.
        total_steps: Optimizer steps planned.
        num_parameters: Parameters of the model.
        config: The resolved configuration, JSON values.
        flops_per_candle: FLOPs of training on one candle; None when the model does not tell.
        pace: How far the run is and how long it still takes, over all its starts; it moves on with the run.
    """

    path: Path
    total_steps: int
    num_parameters: int
    config: Mapping[str, object] = field(repr=False)
    flops_per_candle: float | None = None
    pace: Pace = field(default_factory=Pace, repr=False, compare=False)


class Observers:
    """Broadcasts to every plugin of the group ``marketgpt.training`` that listens."""

    def __init__(self, group: PluginGroup | None = None) -> None:
        self._group = group or plugin_group(GROUP, SPECS)

    def tell(self, hook: str, **values: object) -> None:
        """Call one hook of every plugin.

        Args:
            hook: ``train_start``, ``step_end``, ``epoch_end``, ``checkpoint_saved`` or ``train_end``.
            **values: Its arguments.

        Raises:
            Exception: whatever an observer raised, in strict mode only.
        """
        for implementation in getattr(self._group.hook, f"marketgpt_{hook}").get_hookimpls():
            try:
                implementation.function(*(values[name] for name in implementation.argnames))
            except Exception as error:
                if strict():
                    raise
                logger.warning(
                    "observer %s failed in %s and is ignored: %s: %s",
                    implementation.plugin_name, hook, type(error).__name__, error,
                )  # fmt: skip
