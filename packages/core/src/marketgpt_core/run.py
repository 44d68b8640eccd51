"""A training run's folder: what is in it, and proof that it is what was written."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any

from marketgpt_core.clock import Clock, SystemClock
from marketgpt_core.distributions import name_and_version
from marketgpt_core.errors import DataError, RunError
from marketgpt_core.files import ensure_writable_folder, read_json, sha256_of, write_json

MANIFEST = "manifest.json"
FORMAT = 1
# What decides a forecast; reports and timings beside it may change without a new identity.
_IDENTITY = ("model.json", "model.safetensors", "tokenizer.json", "forecaster.json", "ensemble.json")
# What changes after a run is sealed, and what is too large to hash at every load.
_UNSEALED = ("checkpoints", "tensorboard", "metrics.jsonl", "status.json")


class Run:
    """A sealed run folder.

    ``manifest.json`` holds the sha256 of every file, the data fingerprint, the code revision and the
    versions of the packages; a folder that does not fit its manifest is refused.

    Args:
        path: The folder.
        manifest: What ``manifest.json`` says.
    """

    def __init__(self, path: Path, manifest: Mapping[str, Any]) -> None:
        self.path = path
        self.manifest = manifest

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """Open a folder and check every file against the manifest.

        Raises:
            RunError: when there is no run, a file is missing, or a hash does not fit.
        """
        path = Path(path)
        if not path.is_dir():
            raise RunError(f"{path} is not a run: no such folder")
        if not (path / MANIFEST).is_file():
            raise RunError(f"{path} is not a finished run: it has no {MANIFEST}")
        try:
            manifest = read_json(path / MANIFEST)
        except DataError as error:
            raise RunError(str(error)) from error
        files = manifest.get("files") if isinstance(manifest, dict) else None
        if not isinstance(manifest, dict) or not isinstance(files, dict):
            raise RunError(f"{path / MANIFEST} is not a run's manifest: it lists no files")
        if manifest.get("format") != FORMAT:
            raise RunError(f"{path} has run format {manifest.get('format')!r}; this version reads {FORMAT}")
        if not isinstance(manifest.get("data_fingerprint"), str):
            raise RunError(f"{path / MANIFEST} is not a run's manifest: it has no data_fingerprint")
        for name, expected in files.items():
            cls._check(path, str(name), str(expected))
        return cls(path, manifest)

    @staticmethod
    def _check(path: Path, name: str, expected: str) -> None:
        file = path / name
        # No operating system's path holds a NUL; asking for one raises.
        if "\0" in name or not file.resolve().is_relative_to(path.resolve()):
            raise RunError(f"{path / MANIFEST} names a file outside the run: {name!r}")
        if not file.is_file():
            raise RunError(f"{path} lacks {name}, which its manifest lists")
        found = sha256_of(file)
        if found != expected:
            raise RunError(
                f"{file} is not the file this run was sealed with: sha256 {found[:12]}..., "
                f"the manifest says {expected[:12]}...; restore it or train again"
            )

    @classmethod
    def seal(cls, path: Path, *, data_fingerprint: str, clock: Clock | None = None, **extra: object) -> Run:
        """Write the manifest over the files that are there; from then on they are frozen.

        Args:
            path: The run's folder.
            data_fingerprint: Identity of the candles it was trained on.
            clock: Tells when.
            extra: Further JSON values to record.
        """
        files = {
            file.relative_to(path).as_posix(): sha256_of(file)
            for file in sorted(path.rglob("*"))
            if file.is_file() and not _is_unsealed(file.relative_to(path))
        }
        manifest: dict[str, Any] = {
            "format": FORMAT,
            "created_at": (clock or SystemClock()).now().isoformat(),
            "data_fingerprint": data_fingerprint,
            "code_revision": code_revision(),
            "python": platform.python_version(),
            "packages": package_versions(),
            **extra,
            "files": files,
        }
        write_json(path / MANIFEST, manifest)
        return cls(path, manifest)

    @property
    def id(self) -> str:
        """Identity of the model: 16 hex digits over the hashes of the files that decide its forecasts."""
        import hashlib

        files = self.manifest["files"]
        text = "\n".join(f"{name} {files[name]}" for name in _IDENTITY if name in files)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def data_fingerprint(self) -> str:
        """Identity of the candles the run was trained on."""
        return str(self.manifest["data_fingerprint"])

    def file(self, name: str) -> Path:
        """Return the path of a sealed file.

        Raises:
            RunError: when the run has no such file.
        """
        if name not in self.manifest["files"]:
            raise RunError(f"{self.path} has no {name}")
        return self.path / name

    def json(self, name: str) -> dict[str, Any]:
        """Read a sealed JSON object.

        Raises:
            RunError: when the run has no such file or it is not an object.
        """
        value = read_json(self.file(name))
        if not isinstance(value, dict):
            raise RunError(f"{self.path / name} is not a JSON object")
        return value


def claim_folder(folder: Path) -> None:
    """Make sure a new run can be written to a folder.

    Raises:
        RunError: when it holds a run already or cannot be written to.
    """
    ensure_writable_folder(folder)
    if (folder / MANIFEST).exists():
        raise RunError(f"{folder} already holds a finished run; choose another folder")


def _is_unsealed(relative: Path) -> bool:
    return relative.name == MANIFEST or relative.parts[0] in _UNSEALED or relative.name.endswith(".tmp")


def code_revision() -> str:
    """Return the git revision of the code, ``-dirty`` when changed; ``release`` outside a checkout."""
    folder = Path(__file__).parent
    try:
        head = _git(folder, "rev-parse", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return "release"
    return head + ("-dirty" if changed else "")


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)  # noqa: S603 - fixed words
    return done.stdout.strip()


def package_versions() -> dict[str, str]:
    """Return the versions of our packages, their plugins, and what decides numbers."""
    wanted: dict[str, str] = {}
    for name in ("arch", "deepspeed", "numpy", "pandas", "scipy", "torch"):
        with suppress(PackageNotFoundError):
            wanted[name] = version(name)
    points = entry_points()
    for group in points.groups:
        if group.startswith("marketgpt."):
            found = (name_and_version(point.dist) for point in points.select(group=group))
            wanted |= dict(one for one in found if one)
    return dict(sorted(wanted.items()))
