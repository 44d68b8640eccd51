"""A training job as a batch script: the text of ``slurm/train_*.sh`` and of what ``slurm submit`` writes."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field, fields
from importlib.resources import files

from marketgpt_core.errors import ConfigError

SCRIPTS = files("marketgpt_training") / "slurm" / "scripts"

# What may stand in a #SBATCH line: never a space, a quote, a line's end or another character of the shell.
_WORD = r"[A-Za-z0-9_.-]+"
_FORMS = {
    "name": (_WORD, "letters, digits, '_', '.' and '-'"),
    "partition": (rf"{_WORD}(?:,{_WORD})*", "a partition, or several with commas between"),
    "account": (_WORD, "letters, digits, '_', '.' and '-'"),
    "qos": (_WORD, "letters, digits, '_', '.' and '-'"),
    "gpu_type": (rf"(?:{_WORD})?", "a GPU's type as the cluster calls it, for example a100, or nothing"),
    "constraint": (r"[A-Za-z0-9_.,:&|*()\[\]-]+", "features as sbatch takes them, for example a100&nvlink"),
    "time": (r"(?:\d+-)?\d+(?::\d{1,2}){0,2}", "minutes, HH:MM:SS or D-HH:MM:SS"),
    "memory": (r"\d+[KMGT]?", "for example 128G"),
    "mail": (r"[A-Za-z0-9_.+-]+@[A-Za-z0-9.-]+", "an address"),
}


@dataclass(frozen=True)
class Job:
    """What a training asks of a cluster.

    Attributes:
        preset: The preset trained.
        name: The job's; the run's folder is called after it and the job's number.
        nodes: Machines.
        gpus: GPUs of each, a rank for each; 0: none, one rank a machine.
        gpu_type: As the cluster calls it; empty: any.
        cpus: Cores of a rank.
        memory: Of a machine.
        time: Limit, after which the job is put back into the queue.
        partition: None: the cluster's default. The same for account, qos, constraint and mail.
        overrides: Arguments for ``marketgpt train``, before those the script is called with.
    """

    preset: str
    name: str
    nodes: int = 1
    gpus: int = 2
    gpu_type: str = "a100"
    cpus: int = 8
    memory: str = "128G"
    time: str = "24:00:00"
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    mail: str | None = None
    overrides: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """Refuse what could not stand in a script.

        Raises:
            ConfigError: for the first value that may not; it names the option and what is allowed.
        """
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None or one.name not in _FORMS:
                continue
            form, allowed = _FORMS[one.name]
            if not re.fullmatch(form, value, flags=re.ASCII):
                raise ConfigError(f"--{one.name.replace('_', '-')} {value!r}: allowed are {allowed}")
        for override in self.overrides:
            if not override.isprintable():
                raise ConfigError(f"{override!r}: an override is one line of printable characters")

    @property
    def ranks(self) -> int:
        """Processes of the whole job."""
        return self.nodes * max(self.gpus, 1)

    def script(self, *, about: str, usage: str) -> str:
        """Return the batch script.

        Args:
            about: One line that says what it is.
            usage: How it is submitted.
        """
        words = ["marketgpt", "train", "--preset", self.preset, "--resume", *self.overrides]
        command = f'{shlex.join(words)} "$@" "run_dir=$(run_folder)"'
        values = {
            "about": about,
            "usage": usage,
            "headers": "\n".join(f"#SBATCH --{line}" for line in self._headers()),
            "command": command,
        }
        text = (SCRIPTS / "train.sh").read_text(encoding="utf-8")
        return re.sub(r"\{\{(\w+)\}\}", lambda found: values[found[1]], text)

    def _headers(self) -> list[str]:
        asked = {
            "job-name": self.name,
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "nodes": self.nodes,
            "ntasks-per-node": max(self.gpus, 1),
            "gpus-per-node": f"{self.gpu_type}:{self.gpus}".lstrip(":") if self.gpus else None,
            "cpus-per-task": self.cpus,
            "mem": self.memory,
            "time": self.time,
            "mail-user": self.mail,
            "mail-type": "END,FAIL,REQUEUE" if self.mail else None,
            # To the batch script alone (B), five minutes before the time is up.
            "signal": "B:USR1@300",
        }
        lines = [f"{name}={value}" for name, value in asked.items() if value is not None]
        return [*lines, "requeue", "open-mode=append", "output=%x-%j.out"]


TRAINING_JOBS = {
    "train_crypto_a100.sh": (
        Job(preset="crypto", name="crypto", memory="64G", time="04:00:00"),
        "Train the preset crypto (20 coins, 5 million parameters) on two A100s.",
    ),
    "train_reduced_a100.sh": (
        Job(preset="reduced", name="reduced"),
        "Train the preset reduced (100 symbols, 25 million parameters) on two A100s.",
    ),
    "train_full_a100.sh": (
        Job(preset="full-market", name="full", memory="256G", time="2-00:00:00"),
        "Train the preset full-market (600 symbols, 85 million parameters) on two A100s of each node.",
    ),
    "test_multitask_t4.sh": (
        Job(
            preset="crypto-multitask", name="multitask-test", gpus=1, gpu_type="t4", cpus=4, memory="16G",
            time="00:30:00", overrides=("loop.max_steps=200",),
        ),
        "Does it work here? 200 steps of the preset crypto-multitask on one T4, evaluated.",
    ),
}  # fmt: skip
_AS_THEY_ARE = (
    "env.sh",
    "requeue.sh",
    "evaluate_run.sh",
    "finetune_market.sh",
    "walk_forward_array.sh",
    "launch_parallel_training.sh",
)


def shipped_scripts() -> dict[str, str]:
    """Return the files of ``slurm/``, text by name."""
    made = {
        name: job.script(about=about, usage=f"sbatch [--nodes=N ...] slurm/{name} [key.sub=value ...]")
        for name, (job, about) in TRAINING_JOBS.items()
    }
    return made | {name: (SCRIPTS / name).read_text(encoding="utf-8") for name in _AS_THEY_ARE}
