"""What fine-tuning is configured with: the base's configuration, its steps smaller, its market alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from marketgpt_core.config import apply_overrides, load_config
from marketgpt_core.errors import ConfigError
from marketgpt_core.run import Run
from marketgpt_training.config import TrainConfig
from marketgpt_training.evaluation.of_run import run_config

# Of the base's learning rate: a difference from weights that are good already is found with smaller steps,
# low-rank matrices begin at zero and need larger ones.
_LEARNING_RATES = {"full": 0.1, "lora": 0.5, "heads": 0.3}
# Towards the base, not towards zero: see ``adapters``.
_PULL = 0.1


def finetune_config(base: Path, *, market: str, method: str, overrides: tuple[str, ...] = ()) -> TrainConfig:
    """Return the configuration that fine-tunes a sealed run.

    Args:
        base: The run's folder.
        market: Category.
        method: ``full``, ``lora`` or ``heads``.
        overrides: ``key.sub=value``, which win.

    Raises:
        RunError: when there is no sealed run.
        ConfigError: for an unknown key or value, or a split that trains or decides on what the base was
            fitted to.
    """
    run = Run.open(base)
    config = run_config(run)
    values: dict[str, Any] = config.model_dump(mode="json")
    values["finetune"] = {
        "base": str(base.resolve()), "base_id": run.id, "market": market, "method": method,
    }  # fmt: skip
    values["optim"] |= {
        "lr": config.optim.lr * _LEARNING_RATES[method], "weight_decay": _PULL, "min_lr_ratio": 0.05,
    }  # fmt: skip
    # Small markets have epochs of ten steps, large ones of a thousand: steps are what is counted.
    values["loop"] |= {"max_epochs": 100, "max_steps": 600, "patience_epochs": 5, "balance": 0.0}
    where = f"fine-tuning {base}" + (" and overrides" if overrides else "")
    made = load_config(TrainConfig, apply_overrides(values, overrides), where=where)
    if made.split.train_until < config.split.train_until:
        raise ConfigError(
            f"split.train_until {made.split.train_until} is before {config.split.train_until}, until when "
            f"{base} was trained: it would be judged on what it has seen"
        )
    fixed = {name: getattr(made, name) for name in ("horizons", "covariates", "tokenizer", "model")}
    changed = [name for name, value in fixed.items() if value != getattr(config, name)]
    if changed:
        raise ConfigError(f"{', '.join(changed)} cannot be changed in fine-tuning: they are the base's")
    return made
