"""From a configuration to a sealed run folder."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path

import torch

from marketgpt_core.candles import Candles
from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.config import to_toml
from marketgpt_core.errors import ConfigError
from marketgpt_core.files import write_json, write_text
from marketgpt_core.plugins import registry
from marketgpt_core.run import MANIFEST, Run
from marketgpt_training.base import TrainingEngine
from marketgpt_training.config import TrainConfig
from marketgpt_training.dataset import WindowDataset
from marketgpt_training.finetuning.outcome import candidate_folder, settle
from marketgpt_training.flops import flops_per_candle
from marketgpt_training.loading import load_candles, with_symbols
from marketgpt_training.loop import Trainer
from marketgpt_training.model_card import model_card
from marketgpt_training.observers import Observers, RunInfo
from marketgpt_training.preparation import Prepared, prepare
from marketgpt_training.recalibrate import recalibrate
from marketgpt_training.result import TrainingResult
from marketgpt_training.resume import CONFIG_FILE, claim_run, find_checkpoint, open_store
from marketgpt_training.splits import split_dates

logger = logging.getLogger(__name__)


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
        started = int(os.environ.get("WORLD_SIZE", "1"))
        if started != world:
            raise ConfigError(
                f"{started} processes were started, and engine {config.engine.name!r} is of {world}: use "
                "engine.name=deepspeed, or one process"
            )
        config.loop.check_processes(world)
        if resume and not engine.resumable:
            raise ConfigError(f"engine {config.engine.name!r} keeps no checkpoints: it cannot be resumed")
        if config.loop.threads:
            torch.set_num_threads(config.loop.threads)
        torch.manual_seed(config.seed)
        module = prepared.module()
        _set_up(module, config)
        # Before the engine has it: ZeRO 3 leaves nothing of a parameter's shape.
        fits, num_parameters = _fits(prepared, module), sum(p.numel() for p in module.parameters())
        flops = flops_per_candle(module, prepared.train.context)
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
            flops_per_candle=flops,
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


def _fits(prepared: Prepared, module: torch.nn.Module) -> dict[str, object]:
    """Return what has to be the same for a checkpoint to mean the same."""
    shapes = json.dumps([(name, list(one.shape)) for name, one in module.named_parameters()])
    return {
        "tokenizer": prepared.tokenizer.fingerprint(),
        "train_candles": prepared.train.num_targets,
        "validation_candles": prepared.validation.num_targets,
        "model": hashlib.sha256(shapes.encode()).hexdigest()[:16],
        **({} if prepared.base is None else {"base": prepared.base.run_id}),
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
    """Write the trained run's files and seal the folder; see DESIGN's "a run's folder".

    A fine-tuned model takes its base's place only where it is better: ``finetune.json`` tells.
    """
    clock = clock or SystemClock()
    module = prepared.trained(result.weights)
    outcome = None
    if prepared.base is None:
        _write_model(config, prepared, module, folder)
    else:
        target = candidate_folder(folder)
        _write_model(config, prepared, module, target)
        candidate = Run.seal(target, data_fingerprint=prepared.candles.fingerprint(), clock=clock)
        outcome = settle(config, prepared, candidate, folder, clock=clock)
    write_text(folder / CONFIG_FILE, to_toml(config.model_dump(mode="json")))
    summary = {
        **result.summary(),
        "num_parameters": sum(p.numel() for p in module.parameters()),
        "train_candles": prepared.train.num_targets,
        "validation_candles": prepared.validation.num_targets,
        "split": {name: str(value)[:10] for name, value in vars(prepared.split).items()},
    }
    write_json(folder / "training_summary.json", summary)
    write_text(folder / "model_card.md", model_card(config, prepared.candles, summary, outcome))
    run = Run.seal(folder, data_fingerprint=prepared.candles.fingerprint(), clock=clock)
    if config.evaluation.recalibrate and prepared.base is None:
        run = recalibrate(run, config, prepared.candles, prepared.split, clock=clock)
    return run


def _write_model(config: TrainConfig, prepared: Prepared, module: torch.nn.Module, folder: Path) -> None:
    from marketgpt_models.checkpoint import save_model

    prepared.tokenizer.save(folder / "tokenizer.json")
    save_model(
        folder,
        config.model.name,
        prepared.variant.config,
        prepared.spec,
        module,
        tokenizer_fingerprint=prepared.tokenizer.fingerprint(),
    )


def finish_run(
    config: TrainConfig, folder: Path, *, candles: Candles | None = None, clock: Clock | None = None
) -> Run:
    """Return a run sealed in an earlier start, with what that start may not have come to.

    Raises:
        RunError: when a file is not what the run was sealed with.
    """
    from marketgpt_models.forecaster_file import FORECASTER_JSON

    run = Run.open(folder)
    # A fine-tuned run is sealed once, with all it has.
    is_open = config.finetune is None and FORECASTER_JSON not in run.manifest["files"]
    if config.evaluation.recalibrate and is_open:
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
