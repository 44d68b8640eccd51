"""A training run's configuration."""

from __future__ import annotations

import tomllib
from datetime import date
from importlib.resources import files
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from marketgpt_core.config import Config, apply_overrides, load_config
from marketgpt_core.errors import ConfigError, hint
from marketgpt_core.interval import Interval
from marketgpt_core.plugins import registry
from marketgpt_core.symbols import Category

Fraction = Annotated[float, Field(ge=0.0, lt=1.0)]


class ComponentConfig(Config):
    """A plugin by name, with the options its own ``Config`` validates."""

    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class ModelConfig(ComponentConfig):
    """A model variant by name, in a shape by name or by its options.

    Options win over those of the shape; a variant takes what it has of them.
    """

    name: str = "market_gpt"
    shape: str | None = Field(
        default=None, description="as `marketgpt models` lists them, for example crypto"
    )

    def resolved(self) -> dict[str, Any]:
        """Return the options the variant is made with.

        Raises:
            ConfigError: for a shape that is none; the message names the closest.
            PluginError: for a variant that is none.
        """
        if self.shape is None:
            return self.options
        from marketgpt_models.presets import shape

        known = registry("model").load(self.name).Config.model_fields
        return {
            name: value for name, value in shape(self.shape).options.items() if name in known
        } | self.options


class EngineConfig(ComponentConfig):
    """An engine by name: options may be given for the usual one without naming it."""

    name: str = "deepspeed"


class DataConfig(Config):
    """Which candles."""

    source: str = Field(description="name or name:location, as in `marketgpt data list`")
    symbols: tuple[str, ...] = Field(default=(), description="empty: those of the universe, or all there are")
    universe: str | None = Field(
        default=None, description="a universe's name or TOML file: its symbols, as far as the source has them"
    )
    start: date | None = None
    end: date | None = Field(default=None, description="first date not used at all")
    interval: Interval = Interval.DAY


class SplitConfig(Config):
    """Temporal split by calendar date across all symbols.

    Targets dated before ``train_until`` train, before ``validation_until`` validate, the rest test. After
    each border ``embargo_bars`` sessions are left out, so that no target of a later part overlaps one of an
    earlier part.
    """

    train_until: date
    validation_until: date
    embargo_bars: int = Field(default=42, ge=0)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.train_until >= self.validation_until:
            raise ValueError(
                f"train_until {self.train_until} must come before validation_until {self.validation_until}"
            )
        return self


class OptimConfig(Config):
    """AdamW with linear warm-up and cosine decay, or none."""

    lr: float = Field(default=2e-3, gt=0)
    min_lr_ratio: float = Field(
        default=0.05, ge=0, le=1, description="learning rate at the end, as a share of lr; 1: no decay"
    )
    warmup_steps: int = Field(default=30, ge=0)
    weight_decay: float = Field(default=0.1, ge=0)
    betas: tuple[float, float] = (0.9, 0.95)
    grad_clip: float = Field(default=1.0, gt=0, description="largest global gradient norm")
    ema_decay: Fraction = Field(
        default=0.0,
        description="of the average of weights that is validated and kept; 0: no average",
    )


class DisturbConfig(Config):
    """How windows are disturbed in training, and only there."""

    market_noise: float = Field(
        default=0.5,
        ge=0,
        description="standard deviation of noise on the market's state, of order one itself",
    )
    withhold_rate: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="share of windows where what paths do not know is withheld",
    )
    mirrored_candles: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="share of the direction of the next candle that is kept from the model",
    )


class LoopConfig(Config):
    """How long and how much at a time."""

    batch_size: int = Field(default=16, ge=1, description="windows of the global batch")
    micro_batch_size: int | None = Field(
        default=None, ge=1, description="windows a process puts through the model at once; None: its share"
    )
    max_epochs: int = Field(default=10, ge=1)
    max_steps: int | None = Field(
        default=None, ge=1, description="stop after so many steps, in the middle of an epoch if need be"
    )
    balance: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="0: every target once an epoch; 1: categories get as many windows each, small ones again",
    )
    activation_checkpointing: bool = Field(
        default=False, description="run blocks again for their gradients instead of keeping what they made"
    )
    compile: bool = Field(default=False, description="torch.compile the model; needs a compiler")
    threads: int = Field(default=0, ge=0, description="CPU threads of one process; 0: torch's own choice")
    patience_epochs: int = Field(default=3, ge=1, description="stop after so many without improvement")

    def check_processes(self, processes: int) -> None:
        """Raise ConfigError when the global batch cannot be divided among so many."""
        size, micro = self.batch_size, self.micro_batch_size
        if size % processes:
            raise ConfigError(f"loop.batch_size {size} is not a multiple of {processes} processes")
        if micro and size // processes % micro:
            raise ConfigError(
                f"loop.micro_batch_size {micro} does not divide {size // processes}, one process's share of "
                f"loop.batch_size {size}"
            )


class CheckpointConfig(Config):
    """What is kept of a training that may be cut short."""

    every_steps: int = Field(default=0, ge=0, description="optimizer steps between checkpoints; 0: by time")
    every_s: float = Field(default=600.0, gt=0, description="seconds between checkpoints at most")
    keep: int = Field(default=2, ge=1, description="checkpoints kept, the newest ones")


class GuardConfig(Config):
    """What is not learned from."""

    explode_ratio: float = Field(
        default=3.0, gt=1, description="a loss so many times the recent ones' average is left out"
    )
    most_spoiled: int = Field(default=3, ge=1, description="stop at so many batches left out in a row")


class EvaluationConfig(Config):
    """Evaluation on the test part when training is done."""

    horizons: tuple[int, ...] = (1, 5, 10, 21, 42)
    every: int = Field(default=5, ge=1, description="forecast every so many sessions")
    until: date | None = Field(default=None, description="first as-of date not tested on; None: no end")
    num_samples: int = Field(default=200, ge=20)
    recalibrate: bool = Field(default=True, description="put spreads right on the validation part first")
    forecaster: dict[str, Any] = Field(
        default_factory=dict, description="options of the model's forecaster, for example mix and num_passes"
    )


class FinetuneConfig(Config):
    """What a run adds to another one, its base, for one market."""

    base: str = Field(description="the base's folder, a sealed run")
    base_id: str = Field(default="", description="its identity; empty: whatever lies there")
    market: Category
    method: Literal["full", "lora", "heads"] = Field(
        default="full",
        description="what is learned: a difference from every weight, one of low rank, or the heads alone",
    )
    rank: int = Field(default=8, ge=1, description="of LoRA's matrices")
    alpha: float = Field(default=16.0, gt=0, description="LoRA's scale: alpha / rank")
    replay: Fraction = Field(
        default=0.2, description="share of windows from other markets, so that those are not forgotten"
    )
    accept_share: float = Field(
        default=0.5,
        gt=0,
        lt=1,
        description="share of validation, its end, that decides between base and result and chooses nothing",
    )
    accept_on: Literal["crps", "nll"] = Field(
        default="crps", description="score that has to improve: of returns over all horizons, or of candles"
    )
    accept_least: Fraction = Field(
        default=0.001, description="least improvement worth a new model, as a share of the base's score"
    )


class TrainConfig(Config):
    """Everything a run is decided by."""

    seed: int = Field(default=0, ge=0)
    horizons: tuple[int, ...] = Field(default=(1, 5, 10, 21, 42), description="of the direct heads, bars")
    covariates: tuple[str, ...] = Field(
        default=(), description="groups of further inputs, any of market, recurrence, volume"
    )
    data: DataConfig
    split: SplitConfig
    tokenizer: ComponentConfig = ComponentConfig(name="ohlc")
    model: ModelConfig = ModelConfig()
    engine: EngineConfig = EngineConfig()
    optim: OptimConfig = OptimConfig()
    loop: LoopConfig = LoopConfig()
    disturb: DisturbConfig = DisturbConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()
    guard: GuardConfig = GuardConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    finetune: FinetuneConfig | None = None

    @model_validator(mode="after")
    def _embargo_covers_horizons(self) -> Self:
        longest = max((*self.horizons, *self.evaluation.horizons))
        if self.split.embargo_bars < longest:
            raise ValueError(
                f"split.embargo_bars {self.split.embargo_bars} is less than the longest horizon, {longest}"
            )
        return self


def preset_names() -> list[str]:
    """Return the presets that ship with this package."""
    folder = files("marketgpt_training") / "presets"
    return sorted(
        entry.name.removesuffix(".toml") for entry in folder.iterdir() if entry.name.endswith(".toml")
    )


def preset(name: str, overrides: tuple[str, ...] = ()) -> TrainConfig:
    """Return a preset, with ``key.sub=value`` overrides.

    Raises:
        ConfigError: for an unknown preset, key or value.
    """
    if name not in preset_names():
        raise ConfigError(f"unknown preset {name!r}; {hint(name, preset_names())}")
    text = (files("marketgpt_training") / "presets" / f"{name}.toml").read_text(encoding="utf-8")
    values = apply_overrides(tomllib.loads(text), overrides)
    return load_config(TrainConfig, values, where=f"preset {name}" + (" and overrides" if overrides else ""))
