"""Checkpoints on disk: all of one or none of it, whoever is killed when.

``checkpoints/step-00000120`` holds one safetensors file a rank, ``state.json`` and ``manifest.json`` with the
sha256 of each. Tensors carry the names of the model's parameters and are whole, each written by one rank:
any number of ranks, any ZeRO stage and any engine can read them. The folder is written under another name
and renamed when every file is on the disk; ranks wait for each other through the file system, so no
collective runs beside training. Nothing is pickled.
"""

from __future__ import annotations

import os
import shutil
import time
from collections import deque
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from marketgpt_core.errors import DataError, RunError
from marketgpt_core.files import ensure_writable_folder, read_json, sha256_of, sync_folder, write_json

if TYPE_CHECKING:
    from torch import Tensor

FOLDER = "checkpoints"
_FORMAT = 1
_STATE, _MANIFEST = "state.json", "manifest.json"
_PREFIX, _TEMPORARY = "step-", ".tmp"
_POLL_S = 0.02


class Checkpoint(Mapping[str, "Tensor"]):
    """One checkpoint: tensors by name, read from the disk when asked for, and the loop's state.

    Args:
        path: Its folder, finished.

    Raises:
        RunError: when it is no checkpoint, or a file is missing or not the one written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        manifest = _json_object(path / _MANIFEST)
        if manifest.get("format") != _FORMAT or not isinstance(manifest.get("files"), dict):
            raise RunError(f"{path / _MANIFEST} is not a checkpoint's manifest")
        for name, expected in manifest["files"].items():
            # A name with a slash would be a file outside the checkpoint.
            if Path(name).name != name or not (path / name).is_file() or sha256_of(path / name) != expected:
                raise RunError(f"the checkpoint {path} is damaged: {name} is not the file that was written")
        self.state: dict[str, Any] = _json_object(path / _STATE)
        self._where: dict[str, Any] = {}
        for name in manifest["files"]:
            if name.endswith(".safetensors"):
                self._open(path / name)

    def _open(self, file: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            reader = safe_open(file, framework="pt")
        except SafetensorError as error:
            raise RunError(f"the checkpoint {self.path} is damaged: {file.name}: {error}") from error
        self._where |= dict.fromkeys(list(reader.keys()), reader)  # type: ignore[no-untyped-call]

    def __getitem__(self, name: str) -> Tensor:
        tensor: Tensor = self._where[name].get_tensor(name)
        return tensor

    def __iter__(self) -> Iterator[str]:
        return iter(self._where)

    def __len__(self) -> int:
        return len(self._where)

    @property
    def step(self) -> int:
        """Optimizer steps done."""
        return _step_of(self.path)


class CheckpointStore:
    """Writes and finds the checkpoints of a run.

    Args:
        run: The run's folder; ranks share it.
        keep: Checkpoints kept, the newest ones.
        rank: This process.
        world_size: Processes that each write a part.
        token: The same number on every rank, another one in every start of the job: what an earlier start
            left half written is told apart by it.
        timeout_s: How long the first rank waits for the others' files.
    """

    def __init__(
        self,
        run: Path,
        *,
        keep: int = 2,
        rank: int = 0,
        world_size: int = 1,
        token: int = 0,
        timeout_s: float = 600.0,
    ) -> None:
        self.path = run / FOLDER
        self._keep, self._rank, self._world_size = keep, rank, world_size
        self._token, self._timeout_s = token, timeout_s
        self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self._finished: deque[int] = deque()

    def finished(self) -> list[int]:
        """Return the steps whose checkpoints got whole since this was asked last; the first rank knows."""
        return [self._finished.popleft() for _ in range(len(self._finished))]

    def path_of(self, step: int) -> Path:
        """Return the folder of a step's checkpoint."""
        return self.path / _name(step)

    def clear_leftovers(self) -> None:
        """Remove what was never finished; the first rank calls it before anybody writes."""
        for path in self.path.glob(f".{_PREFIX}*"):
            shutil.rmtree(path, ignore_errors=True)

    def save(self, step: int, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Begin to write a checkpoint; every rank calls it.

        It is written beside the training that goes on: the tensors must be copies nobody changes. A second
        call waits for the first.

        Args:
            step: Optimizer steps done.
            tensors: This rank's part.
            state: JSON values; the first rank's are kept.

        Raises:
            RunError: when the checkpoint before this one could not be written.
        """
        self.wait()
        self._pending = self._writer.submit(self._write, step, dict(tensors), dict(state))

    def wait(self) -> None:
        """Wait until what was begun is on the disk.

        Raises:
            RunError: when it could not be written.
        """
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def close(self) -> None:
        """Finish writing, whatever became of it."""
        self._writer.shutdown(wait=True)

    def steps(self) -> list[int]:
        """Return the steps of finished checkpoints, rising."""
        return sorted(_step_of(path) for path in self.path.glob(f"{_PREFIX}*") if path.is_dir())

    def open(self, step: int) -> Checkpoint:
        """Open one.

        Raises:
            RunError: see :class:`Checkpoint`.
        """
        return Checkpoint(self.path_of(step))

    def newest(self) -> tuple[Checkpoint | None, list[str]]:
        """Return the newest checkpoint that is whole, and what was wrong with newer ones, a line each."""
        wrong: list[str] = []
        for step in reversed(self.steps()):
            try:
                return self.open(step), wrong
            except RunError as error:
                wrong.append(str(error))
        return None, wrong

    def _write(self, step: int, tensors: dict[str, Tensor], state: dict[str, Any]) -> None:
        from safetensors import SafetensorError

        target = self.path_of(step)
        try:
            self._write_part(self._temporary(step), tensors)
            if self._rank == 0:
                self._finish(step, state)
        except (OSError, SafetensorError, RunError) as error:
            if self._rank == 0:
                shutil.rmtree(self._temporary(step), ignore_errors=True)
            kept = self.steps()
            reason = (getattr(error, "strerror", None) or str(error)).rstrip(".")
            before = f"the one of step {kept[-1]} is intact" if kept else "there is none before it"
            raise RunError(f"cannot write the checkpoint {target}: {reason}; {before}") from error

    def _temporary(self, step: int) -> Path:
        return self.path / f".{_name(step)}.{self._token}{_TEMPORARY}"

    def _write_part(self, folder: Path, tensors: dict[str, Tensor]) -> None:
        from safetensors.torch import save_file

        ensure_writable_folder(folder)
        file = folder / f"{_part(self._rank, self._world_size)}.safetensors"
        save_file(tensors, file)
        with file.open("rb") as written:
            os.fsync(written.fileno())
        # Written last: it says that the file beside it is whole.
        write_json(file.with_suffix(".json"), {"file": file.name, "sha256": sha256_of(file)})

    def _finish(self, step: int, state: dict[str, Any]) -> None:
        folder, target = self._temporary(step), self.path_of(step)
        files = {}
        for rank in range(self._world_size):
            note = folder / f"{_part(rank, self._world_size)}.json"
            self._await(note, rank)
            part = _json_object(note)
            files[part["file"]] = part["sha256"]
            note.unlink()
        write_json(folder / _STATE, state)
        files[_STATE] = sha256_of(folder / _STATE)
        write_json(folder / _MANIFEST, {"format": _FORMAT, "files": files})
        sync_folder(folder)
        # The same step comes again at the end of an epoch and after a rollback.
        before = self._set_aside(step) if target.exists() else None
        folder.rename(target)
        sync_folder(self.path)
        if before:
            shutil.rmtree(before, ignore_errors=True)
        self._finished.append(step)
        self._prune()

    def _await(self, note: Path, rank: int) -> None:
        until = time.monotonic() + self._timeout_s
        while not note.exists():
            if time.monotonic() > until:
                raise RunError(f"rank {rank} has not written its part within {self._timeout_s:.0f} s")
            time.sleep(_POLL_S)

    def _prune(self) -> None:
        for step in self.steps()[: -self._keep]:
            shutil.rmtree(self._set_aside(step), ignore_errors=True)

    def _set_aside(self, step: int) -> Path:
        """Rename a checkpoint that is to go: half removed, it must not pass for one."""
        doomed = self.path / f".{_name(step)}.old"
        shutil.rmtree(doomed, ignore_errors=True)
        self.path_of(step).rename(doomed)
        return doomed


def _name(step: int) -> str:
    return f"{_PREFIX}{step:08d}"


def _part(rank: int, world_size: int) -> str:
    return f"rank-{rank:05d}-of-{world_size:05d}"


def _step_of(path: Path) -> int:
    digits = path.name.removeprefix(_PREFIX)
    return int(digits) if digits.isdigit() else -1


def _json_object(path: Path) -> dict[str, Any]:
    try:
        value = read_json(path)
    except DataError as error:
        raise RunError(f"the checkpoint {path.parent} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise RunError(f"the checkpoint {path.parent} is damaged: {path.name} is not a JSON object")
    return value
