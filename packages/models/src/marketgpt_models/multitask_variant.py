"""The variant ``multitask``: options and size. Importing it brings no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, model_validator

from marketgpt_core.errors import ConfigError
from marketgpt_models.base import InputSpec
from marketgpt_models.gpt_variant import MarketGPTConfig, MarketGPTVariant

if TYPE_CHECKING:
    from marketgpt_models.multitask import MultiTaskTransformer

QUANTILE_LEVELS = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)


class MultiTaskConfig(MarketGPTConfig):
    """Options of MultiTaskTransformer.

    loss = nll + horizon_weight * horizon_nll + task_weight * task_nll + quantile_weight * pinball, where
    task_nll is the mean over tasks of their mean cross-entropy over all horizons, and pinball the mean over
    horizons and levels.

    Attributes:
        task_weight: Weight of the tasks in the loss.
        quantile_weight: Weight of the quantiles in the loss.
    """

    task_weight: float = Field(default=0.2, ge=0)
    quantile_weight: float = Field(default=0.2, ge=0)

    @model_validator(mode="after")
    def _layout(self) -> MultiTaskConfig:
        if self.layout == "flattened":
            raise ValueError("layout flattened is a reference arm of market_gpt; multitask has it not")
        return self


class MultiTaskVariant(MarketGPTVariant):
    """MarketGPT with heads for the tokenizer's targets (direction, volatility, range) and for quantiles.

    Args:
        config: Its options.
    """

    Config = MultiTaskConfig
    forecaster_class: ClassVar[str] = "marketgpt_models.multitask_forecaster:MultiTaskForecaster"

    config: MultiTaskConfig

    def build(self, spec: InputSpec) -> MultiTaskTransformer:
        """Return a freshly initialised :class:`marketgpt_models.multitask.MultiTaskTransformer`.

        Raises:
            ConfigError: for a specification without tasks or horizons.
        """
        from marketgpt_models.multitask import MultiTaskTransformer

        _check_tasks(spec)
        return MultiTaskTransformer(self.config, spec)

    def num_parameters(self, spec: InputSpec) -> int:
        """Return how many parameters :meth:`build` gives, without building.

        Raises:
            ConfigError: for a specification without tasks or horizons.
        """
        _check_tasks(spec)
        outputs = len(spec.horizons) * (sum(spec.task_sizes) + len(QUANTILE_LEVELS))
        return super().num_parameters(spec) + self.config.dim * outputs


def _check_tasks(spec: InputSpec) -> None:
    if not spec.task_names:
        raise ConfigError("model multitask needs a tokenizer with targets: tokenizer.name=multitask")
    if not spec.horizons:
        raise ConfigError("model multitask needs horizons, the bars ahead its tasks speak of; there are none")
