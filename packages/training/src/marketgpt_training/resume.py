"""Going on with a run: which checkpoint, and whether it is this run's."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketgpt_core.config import load_config, read_toml
from marketgpt_core.errors import RunError
from marketgpt_core.run import claim_folder
from marketgpt_training.checkpoints import Checkpoint, CheckpointStore
from marketgpt_training.config import TrainConfig

if TYPE_CHECKING:
    from marketgpt_training.base import TrainingEngine

logger = logging.getLogger(__name__)

CONFIG_FILE = "config.toml"
# What a run may go on with otherwise: none of it decides a step.
_FREE = (
    "engine.",
    "checkpoint.",
    "evaluation.",
    "loop.threads",
    "loop.micro_batch_size",
    "loop.patience_epochs",
)


def begun_config(folder: Path) -> TrainConfig:
    """Return the configuration a run's folder was begun with."""
    return load_config(TrainConfig, read_toml(folder / CONFIG_FILE), where=str(folder / CONFIG_FILE))


def claim_run(config: TrainConfig, folder: Path, *, resume: bool) -> None:
    """Make sure a configuration can be trained into a folder.

    Raises:
        RunError: when the folder holds a finished run, cannot be written to, holds checkpoints nobody asked
            to go on from, or was begun with something else.
    """
    claim_folder(folder)
    if not CheckpointStore(folder).steps():
        return
    if not resume:
        raise RunError(
            f"{folder} holds the checkpoints of an unfinished run: go on with --resume, "
            "or choose another folder"
        )
    begun = begun_config(folder)
    old, new = (dict(_flat(one.model_dump(mode="json"))) for one in (begun, config))
    changed = [
        f"{name} (was {old.get(name)!r}, now {new.get(name)!r})"
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name) and not name.startswith(_FREE)
    ]
    if changed:
        raise RunError(
            f"{folder} was begun with another configuration: {', '.join(changed)}; "
            "go on with the same, or choose another folder"
        )


def open_store(config: TrainConfig, engine: TrainingEngine, folder: Path) -> CheckpointStore:
    """Return the store all ranks of an engine write to, without what an earlier start left half written."""
    first = engine.rank == 0
    token = engine.mean([float(time.time_ns() % 2**40 if first else 0)])[0] * engine.world_size
    store = CheckpointStore(
        folder,
        keep=config.checkpoint.keep,
        rank=engine.rank,
        world_size=engine.world_size,
        token=round(token),
    )
    if first:
        store.clear_leftovers()
    engine.mean([0.0])  # nobody writes before that
    return store


def find_checkpoint(
    store: CheckpointStore, engine: TrainingEngine, fits: Mapping[str, Any]
) -> Checkpoint | None:
    """Return the newest whole checkpoint, the same on every rank; of newer ones is told what is wrong.

    Args:
        store: Where.
        engine: Whose ranks have to agree.
        fits: What a checkpoint has to say of itself.

    Raises:
        RunError: when it is of other data or another model.
    """
    found, wrong = store.newest() if engine.rank == 0 else (None, [])
    for line in wrong:
        logger.warning("%s; an older one is taken", line)
    step = round(
        engine.mean([float(found.step if found else -1) if engine.rank == 0 else 0.0])[0] * engine.world_size
    )
    if step < 0:
        return None
    checkpoint = found or store.open(step)
    said = checkpoint.state.get("fits")
    if said != dict(fits):
        names = [name for name in fits if not isinstance(said, dict) or said.get(name) != fits[name]]
        raise RunError(
            f"the checkpoint {checkpoint.path} does not fit: {', '.join(names)} changed since it was "
            "written; restore the candles and versions it was begun with, or choose another folder"
        )
    return checkpoint


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value
