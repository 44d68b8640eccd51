"""The run that fine-tuning starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_core.run import Run
from marketgpt_training.config import FinetuneConfig
from marketgpt_training.finetuning.adapters import adapt, fold

if TYPE_CHECKING:
    from torch import Tensor, nn

    from marketgpt_core.tokens import Tokenizer
    from marketgpt_models.base import InputSpec, ModelVariant


@dataclass(frozen=True, eq=False)
class BaseModel:
    """A base's parts, all of which a fine-tuned run keeps but the weights.

    Attributes:
        run_id: Identity of the run.
        tokenizer: Its tokenizer.
        variant: Its variant.
        spec: What its module was built for.
        weights: Its module's state.
        config: What is learned on top.
    """

    run_id: str
    tokenizer: Tokenizer
    variant: ModelVariant
    spec: InputSpec
    weights: dict[str, Tensor]
    config: FinetuneConfig

    def adapted(self, module: nn.Module) -> nn.Module:
        """Give a freshly built module the base's weights, and what is learned on top of them."""
        module.load_state_dict(self.weights)
        adapt(module, self.config)
        return module

    def folded(self, module: nn.Module, learned: dict[str, Tensor]) -> nn.Module:
        """Return a freshly built module as plain as the base's, with what was learned in its weights."""
        self.adapted(module).load_state_dict(learned)
        fold(module)
        return module


def open_base(config: FinetuneConfig) -> BaseModel:
    """Open a sealed run as a base.

    Raises:
        RunError: when it is no run, was tampered with, is not the run it was, or is an ensemble.
        PluginError: when no installed plugin provides its variant.
    """
    from marketgpt_core.tokens import load_tokenizer
    from marketgpt_models.checkpoint import MODEL_JSON, load_model

    run = Run.open(Path(config.base))
    if config.base_id and run.id != config.base_id:
        raise RunError(f"{config.base} is the run {run.id}; fine-tuning began from {config.base_id}")
    if MODEL_JSON not in run.manifest["files"]:
        raise RunError(f"{config.base} has no {MODEL_JSON}: fine-tune an ensemble's members one by one")
    tokenizer = load_tokenizer(run.file("tokenizer.json"))
    variant, spec, module = load_model(run.path, expected_tokenizer_fingerprint=tokenizer.fingerprint())
    weights = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    return BaseModel(run.id, tokenizer, variant, spec, weights, config)


def check_market(config: FinetuneConfig, markets: set[str]) -> None:
    """Refuse a market the candles have nothing of.

    Raises:
        ConfigError: then; the message lists those there are.
    """
    if str(config.market) not in markets:
        raise ConfigError(
            f"finetune.market {config.market}: the candles have none; there are {', '.join(sorted(markets))}"
        )
