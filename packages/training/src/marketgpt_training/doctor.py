"""The doctor's checks for training: torch, accelerators, DeepSpeed, compiler, Slurm."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from importlib.metadata import version

from marketgpt_core.doctor import Check, Health


def checks() -> Iterator[Check]:
    """Yield the checks."""
    yield _torch()
    yield _accelerator()
    yield _deepspeed()
    yield _compiler()
    yield _slurm()


def _torch() -> Check:
    import torch

    a = torch.arange(6.0).reshape(2, 3)
    works = torch.allclose(a @ a.T, torch.tensor([[5.0, 14.0], [14.0, 50.0]]))
    text = f"{torch.__version__}, {torch.get_num_threads()} threads"
    return Check("torch", Health.OK if works else Health.FAIL, text, "" if works else "reinstall torch")


def _accelerator() -> Check:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        return Check("accelerator", Health.OK, f"CUDA {torch.version.cuda}: {names}")
    if shutil.which("nvidia-smi"):
        mend = f"torch is built for CUDA {torch.version.cuda}: update the driver or install a matching torch"
        return Check("accelerator", Health.WARN, "none usable, though nvidia-smi is here", mend)
    return Check("accelerator", Health.OK, "none: training runs on the CPU")


def _deepspeed() -> Check:
    if importlib.util.find_spec("deepspeed") is None:
        return Check(
            "deepspeed", Health.WARN, "not installed", "pip install deepspeed, or use engine.name=torch"
        )
    from marketgpt_training.engines.deepspeed_machine import import_deepspeed

    import_deepspeed()
    from deepspeed.accelerator import get_accelerator
    from deepspeed.ops.op_builder.all_ops import ALL_OPS

    usable = sorted(name for name, builder in ALL_OPS.items() if _compatible(builder))
    device = get_accelerator().device_name()
    text = f"{version('deepspeed')} on {device}; ops it could build: {', '.join(usable) or 'none'}"
    return Check("deepspeed", Health.OK, text)


def _compatible(builder: object) -> bool:
    return bool(builder.is_compatible(verbose=False))  # type: ignore[attr-defined]


def _compiler() -> Check:
    found = {name: shutil.which(name) for name in ("g++", "ninja")}
    missing = [name for name, path in found.items() if path is None]
    if not missing:
        return Check("compiler", Health.OK, ", ".join(str(path) for path in found.values()))
    mend = "apt-get install -y g++ ninja-build (only for DeepSpeed's compiled ops; training works without)"
    return Check("compiler", Health.WARN, f"{' and '.join(missing)} not found", mend)


def _slurm() -> Check:
    if shutil.which("sbatch") is None:
        return Check("slurm", Health.OK, "not here: jobs run on this machine")
    version_text = _sinfo("--version").stdout.strip()
    partitions = _sinfo("-h", "-o", "%P %a %D")
    if partitions.returncode:
        mend = "ask the cluster's administrators, or load its Slurm module"
        said = " ".join(partitions.stderr.split())[:200]
        return Check("slurm", Health.FAIL, f"sinfo fails: {said}", mend)
    listed = "; ".join(partitions.stdout.split("\n")).strip("; ")
    return Check("slurm", Health.OK, f"{version_text}; partitions: {listed}")


def _sinfo(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [shutil.which("sinfo") or "sinfo", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)  # noqa: S603
