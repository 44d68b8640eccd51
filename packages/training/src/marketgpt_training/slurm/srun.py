"""The ranks of a Slurm job: one task each, started by ``srun`` from the batch script, without ssh."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from marketgpt_core.errors import ConfigError

RANK = "marketgpt_training.slurm.rank"
# Steps that are no tasks of a program: salloc's shell and the batch script itself.
_SHELLS = {"4294967290", "4294967291"}
# Below the ports that Linux gives to whoever asks for any.
_FIRST_PORT, _NUM_PORTS = 12_000, 20_000


@dataclass(frozen=True)
class Srun:
    """Starts a rank for each task of the job this process runs in.

    Attributes:
        job_id: The job, an array's task included.
        ranks: Tasks.
        node_list: As Slurm writes it, for example ``n[1-2]``.
        cpus_per_task: None when the job did not say.
    """

    name = "srun"
    job_id: int
    ranks: int
    node_list: str
    cpus_per_task: str | None = None

    @classmethod
    def of_job(cls, environment: Mapping[str, str]) -> Srun | None:
        """Return the launcher for the job of this environment; None outside one and inside a step.

        Also for a single task: what preempts a job warns its steps, seldom its batch script.

        Raises:
            ConfigError: when ``srun`` started several of us already, or tasks outnumber the GPUs.
        """
        if "SLURM_JOB_ID" not in environment:
            return None
        ranks = _tasks(environment)
        if environment.get("SLURM_STEP_ID", "4294967291") not in _SHELLS:
            step_tasks = int(environment.get("SLURM_STEP_NUM_TASKS", ranks))
            if step_tasks > 1:
                raise ConfigError(
                    f"srun started this command {step_tasks} times: call it once in the batch script, "
                    "without srun; it starts a rank for each task itself"
                )
            return None
        if ranks == 1 and shutil.which("srun") is None:
            return None
        _check_gpus(environment)
        return cls(
            job_id=int(environment["SLURM_JOB_ID"]),
            ranks=ranks,
            node_list=environment.get("SLURM_JOB_NODELIST", ""),
            cpus_per_task=environment.get("SLURM_CPUS_PER_TASK"),
        )

    def command(self, python: str, arguments: Sequence[str]) -> list[str]:
        """Return what starts the ranks.

        Raises:
            ConfigError: when there is no ``srun``.
        """
        if shutil.which("srun") is None:
            raise ConfigError(
                "this is a Slurm job, but there is no srun on the path (in a container?): make it visible, "
                "or use --launcher here for ranks on this node alone"
            )
        cpus = [f"--cpus-per-task={self.cpus_per_task}"] if self.cpus_per_task else []
        # One rank's failure is everybody's; what a cluster's own settings would add is said to be none.
        return [
            "srun", f"--ntasks={self.ranks}", *cpus, "--kill-on-bad-exit=1", "--wait=0", "--label",
            "--input=none", "--export=ALL", "--mpi=none", python, "-m", RANK, *arguments,
        ]  # fmt: skip

    def environment(self) -> dict[str, str]:
        """Return where ranks meet: on the job's first host, at a port that two jobs hardly share."""
        port = _FIRST_PORT + self.job_id % _NUM_PORTS
        return {"MASTER_ADDR": _first_host(self.node_list), "MASTER_PORT": str(port)}

    def stop(self, running: subprocess.Popen[bytes], signal_name: str) -> None:  # noqa: ARG002 - see launch
        """Ask the ranks to stop: srun hands USR1 on to its tasks, but would kill them when it gets TERM."""
        running.send_signal(signal.SIGUSR1)


def _tasks(environment: Mapping[str, str]) -> int:
    if "SLURM_NTASKS" in environment:
        return int(environment["SLURM_NTASKS"])
    nodes = int(environment.get("SLURM_JOB_NUM_NODES", "1"))
    return nodes * int(environment.get("SLURM_NTASKS_PER_NODE", "1"))


def _check_gpus(environment: Mapping[str, str]) -> None:
    gpus = int(environment.get("SLURM_GPUS_ON_NODE") or 0)
    # "2(x3),1": two tasks on each of three nodes, one on the fourth.
    tasks = max(int(n) for n in re.findall(r"(?:^|,)(\d+)", environment.get("SLURM_TASKS_PER_NODE", "1")))
    if 0 < gpus < tasks:
        raise ConfigError(
            f"this job has {tasks} tasks on a node with {gpus} GPU{'s' * (gpus > 1)}: a rank needs one of "
            f"its own, so ask sbatch for --ntasks-per-node={gpus}, or for more GPUs"
        )


def _first_host(node_list: str) -> str:
    done = subprocess.run(  # noqa: S603 - no shell; the list is Slurm's
        [shutil.which("scontrol") or "scontrol", "show", "hostnames", node_list],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    hosts = done.stdout.split()
    if done.returncode or not hosts:
        raise ConfigError(f"scontrol cannot tell the hosts of {node_list!r}: {done.stderr.strip()}")
    return hosts[0]
