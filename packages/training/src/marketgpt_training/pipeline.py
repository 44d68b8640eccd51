"""From a configuration to a sealed run folder."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from marketgpt_core.candles import Candles
from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.config import to_toml
from marketgpt_core.errors import ConfigError
from marketgpt_core.files import write_json, write_text
from marketgpt_core.plugins import registry
from marketgpt_core.run import MANIFEST, Run
from marketgpt_core.tokens import TargetTokenizer
from marketgpt_training.base import TrainingEngine
from marketgpt_training.config import TrainConfig
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.loading import load_candles, with_symbols
from marketgpt_training.loop import Trainer
from marketgpt_training.model_card import model_card
from marketgpt_training.observers import Observers, RunInfo
from marketgpt_training.recalibrate import recalibrate
from marketgpt_training.result import TrainingResult
from marketgpt_training.resume import CONFIG_FILE, claim_run, find_checkpoint, open_store
from marketgpt_training.splits import Split, split_dates

if TYPE_CHECKING:
    from marketgpt_core.tokens import Tokenizer
    from marketgpt_models.base import InputSpec, ModelVariant
    from marketgpt_models.features import SeriesFeatures

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """Everything a run needs before its first step; the same on every rank.

    Attributes:
        candles: All candles, test part included (never shown to what is fitted).
        split: Borders.
        tokenizer: Fitted on the training part.
        spec: What the model's inputs look like.
        variant: The model variant.
        train: Training windows.
        validation: Validation windows.
    """

    candles: Candles
    split: Split
    tokenizer: Tokenizer
    spec: InputSpec
    variant: ModelVariant
    train: WindowDataset
    validation: WindowDataset


def prepare(config: TrainConfig, candles: Candles) -> Prepared:
    """Split, fit the tokenizer on the training part, and make windows.

    Raises:
        DataError: when a part of the split is empty or no symbol is long enough.
        ConfigError: for options a plugin refuses.
    """
    from marketgpt_models.covariates import Covariates
    from marketgpt_models.features import features_of_all

    split = split_dates(config.split, candles)
    train_candles = candles.between(None, split.train_end)
    tokenizer = (
        registry("tokenizer")
        .create(config.tokenizer.name, config.tokenizer.options, where="tokenizer.options")
        .fit(train_candles)
    )
    variant = registry("model").create(config.model.name, config.model.resolved(), where="model.options")
    covariates = Covariates(config.covariates)
    # Cut before encoding: a horizon that reaches past the border then has no target, which is the purge.
    train, both = (
        list(features_of_all(tokenizer, part, config.horizons, covariates).values())
        for part in (train_candles, candles.between(None, split.validation_end))
    )
    spec = _spec_of(config, tokenizer, train, str(candles.interval))
    context = int(variant.config.context)
    return Prepared(
        candles=candles,
        split=split,
        tokenizer=tokenizer,
        spec=spec,
        variant=variant,
        train=WindowDataset(
            train,
            context=context,
            spec=spec,
            disturb=config.disturb,
            channel_names=tokenizer.channel_names,
            balance=config.loop.balance,
        ),
        validation=WindowDataset(
            both,
            context=context,
            target_start=split.validation_start,
            target_end=split.validation_end,
            spec=spec,
        ),
    )


def _spec_of(
    config: TrainConfig, tokenizer: Tokenizer, train: Sequence[SeriesFeatures], interval: str
) -> InputSpec:
    """Return what a model is built for, from the training part."""
    from marketgpt_models.base import InputSpec
    from marketgpt_models.covariates import Covariates
    from marketgpt_models.features import CALENDAR_SIZES, HorizonBins, continuous_names

    covariates = Covariates(config.covariates)
    aims = tokenizer if isinstance(tokenizer, TargetTokenizer) else None
    horizon_z = np.concatenate([one.horizon_z for one in train])
    return InputSpec(
        vocab_sizes=tokenizer.vocab_sizes,
        num_continuous=len(continuous_names(tokenizer.channel_names)) + len(covariates.names),
        calendar_sizes=CALENDAR_SIZES,
        horizons=config.horizons,
        horizon_bins=HorizonBins.fit(horizon_z, config.horizons).to_json(),
        covariates=config.covariates,
        assets=tuple(one.symbol for one in train),
        categories=tuple(sorted({str(one.category) for one in train})),
        interval=interval,
        task_names=aims.target_names if aims else (),
        task_sizes=aims.target_sizes if aims else (),
    )


def fit(
    config: TrainConfig, prepared: Prepared, folder: Path, *, resume: bool = False
) -> tuple[TrainingResult, int]:
    """Train in this process (one rank of maybe many) and return the result and the rank.

    Args:
        config: The configuration.
        prepared: Data and model.
        folder: The run's folder.
        resume: Go on from the newest checkpoint, if there is one.

    Raises:
        ConfigError: when the batch cannot be divided among the ranks.
        RunError: when the checkpoint is of something else.
    """
    engine: TrainingEngine = registry("training-engine").create(
        config.engine.name, config.engine.options, where="engine.options"
    )
    try:
        world = engine.world_size
        _check_batch(config, world)
        if resume and not engine.resumable:
            raise ConfigError(f"engine {config.engine.name!r} keeps no checkpoints: it cannot be resumed")
        if config.loop.threads:
            torch.set_num_threads(config.loop.threads)
        torch.manual_seed(config.seed)
        module = prepared.variant.build(prepared.spec)
        _set_up(module, config)
        # Before the engine has it: ZeRO 3 leaves nothing of a parameter's shape.
        fits, num_parameters = _fits(prepared, module), sum(p.numel() for p in module.parameters())
        engine.prepare(
            module,
            config.optim,
            batch_size=config.loop.batch_size // world,
            micro_batch_size=config.loop.micro_batch_size,
        )
        info = RunInfo(
            path=folder,
            total_steps=total_steps(config, prepared.train),
            num_parameters=num_parameters,
            config=config.model_dump(mode="json"),
        )
        store = open_store(config, engine, folder) if engine.resumable else None
        checkpoint = find_checkpoint(store, engine, fits) if store and resume else None
        if engine.rank == 0:
            # Not before: what cannot be trained leaves nothing behind. A resumed run is compared with it.
            write_text(folder / CONFIG_FILE, to_toml(config.model_dump(mode="json")))
        trainer = Trainer(
            engine,
            config,
            prepared.train,
            prepared.validation,
            run=info,
            observers=Observers(),
            checkpoints=store,
            fits=fits,
        )
        # Dropout differs by rank, or the ranks would agree on what to forget.
        torch.manual_seed(config.seed * 1_000_003 + engine.rank)
        return trainer.fit(checkpoint), engine.rank
    finally:
        engine.close()


def _set_up(module: torch.nn.Module, config: TrainConfig) -> None:
    """Have a module computed as the loop's configuration asks."""
    if config.loop.activation_checkpointing:
        if not getattr(module, "can_recompute", False):
            raise ConfigError(
                f"loop.activation_checkpointing is not for model {config.model.name}: "
                "it has no blocks to run again"
            )
        module.recompute = True  # type: ignore[assignment]
    if config.loop.compile:
        module.compile()


def _check_batch(config: TrainConfig, world: int) -> None:
    size, micro = config.loop.batch_size, config.loop.micro_batch_size
    if size % world:
        raise ConfigError(f"loop.batch_size {size} is not a multiple of {world} processes")
    if micro and size // world % micro:
        raise ConfigError(
            f"loop.micro_batch_size {micro} does not divide {size // world}, one process's share of "
            f"loop.batch_size {size}"
        )


def _fits(prepared: Prepared, module: torch.nn.Module) -> dict[str, object]:
    """Return what has to be the same for a checkpoint to mean the same."""
    shapes = json.dumps([(name, list(one.shape)) for name, one in module.named_parameters()])
    return {
        "tokenizer": prepared.tokenizer.fingerprint(),
        "train_candles": prepared.train.num_targets,
        "validation_candles": prepared.validation.num_targets,
        "model": hashlib.sha256(shapes.encode()).hexdigest()[:16],
    }


def total_steps(config: TrainConfig, train: WindowDataset) -> int:
    """Return the optimizer steps of a run that is not stopped early."""
    steps = train.steps_per_epoch(config.loop.batch_size) * config.loop.max_epochs
    return min(steps, config.loop.max_steps or steps)


def write_run(
    config: TrainConfig,
    prepared: Prepared,
    result: TrainingResult,
    folder: Path,
    *,
    clock: Clock | None = None,
) -> Run:
    """Write the trained run's files and seal the folder; see DESIGN's "a run's folder"."""
    from marketgpt_models.checkpoint import save_model

    clock = clock or SystemClock()
    module = prepared.variant.build(prepared.spec)
    module.load_state_dict(result.weights)
    prepared.tokenizer.save(folder / "tokenizer.json")
    save_model(
        folder,
        config.model.name,
        prepared.variant.config,
        prepared.spec,
        module,
        tokenizer_fingerprint=prepared.tokenizer.fingerprint(),
    )
    write_text(folder / CONFIG_FILE, to_toml(config.model_dump(mode="json")))
    summary = {
        **result.summary(),
        "num_parameters": sum(p.numel() for p in module.parameters()),
        "train_candles": prepared.train.num_targets,
        "validation_candles": prepared.validation.num_targets,
        "split": {name: str(value)[:10] for name, value in vars(prepared.split).items()},
    }
    write_json(folder / "training_summary.json", summary)
    write_text(folder / "model_card.md", model_card(config, prepared.candles, summary))
    run = Run.seal(folder, data_fingerprint=prepared.candles.fingerprint(), clock=clock)
    if config.evaluation.recalibrate:
        run = recalibrate(run, config, prepared.candles, prepared.split, clock=clock)
    return run


def finish_run(
    config: TrainConfig, folder: Path, *, candles: Candles | None = None, clock: Clock | None = None
) -> Run:
    """Return a run sealed in an earlier start, with what that start may not have come to.

    Raises:
        RunError: when a file is not what the run was sealed with.
    """
    from marketgpt_models.forecaster_file import FORECASTER_JSON

    run = Run.open(folder)
    if config.evaluation.recalibrate and FORECASTER_JSON not in run.manifest["files"]:
        candles = candles if candles is not None else load_candles(config)
        run = recalibrate(run, config, candles, split_dates(config.split, candles), clock=clock)
    return run


def train(
    config: TrainConfig,
    folder: Path,
    *,
    candles: Candles | None = None,
    clock: Clock | None = None,
    resume: bool = False,
) -> Run:
    """Train in one process from a configuration to a sealed run.

    Args:
        config: The configuration.
        folder: Run folder; must not hold a run already.
        candles: Use these instead of loading what the configuration names.
        clock: Tells when.
        resume: Go on from the folder's newest checkpoint; from the start where there is none.

    Raises:
        RunError: when the folder holds a run, or cannot be written to, or was begun with something else.
        TrainingInterrupted: when a signal stopped it; ``resume`` goes on.
    """
    if resume and (folder / MANIFEST).exists():
        return finish_run(config, folder, candles=candles, clock=clock)
    config = config if candles is not None else with_symbols(config)
    claim_run(config, folder, resume=resume)
    prepared = prepare(config, candles if candles is not None else load_candles(config))
    result, _ = fit(config, prepared, folder, resume=resume)
    return write_run(config, prepared, result, folder, clock=clock)
