"""The scripts of slurm/, unmodified, on a real Slurm of two nodes; only the presets are made small."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from marketgpt_core.run import Run
from marketgpt_training.checkpoints import CheckpointStore
from marketgpt_training.meter import MACHINE_METRICS
from marketgpt_training.slurm.srun import RANK

pytestmark = [pytest.mark.slurm, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[1]
PORT = 17_817
TINY = (
    "data.source=sample",
    'data.symbols=["AAPL","IBM"]',
    "data.start=1990-01-01",
    "split.train_until=2000-01-01",
    "split.validation_until=2001-06-01",
    "horizons=[1,5]",
    "covariates=[]",
    "model={name='market_gpt',options={context=16,num_layers=1,dim=16,num_heads=2,dropout=0.1}}",
    "loop.batch_size=8",
    "loop.max_steps=100",
    "loop.max_epochs=1000",
    "loop.patience_epochs=1000",
    "loop.threads=1",
    "optim.ema_decay=0",
    "evaluation={horizons=[1],every=500,num_samples=20}",
)
ONE_RANK = ("--ntasks-per-node=1", "--gpus-per-node=a100:1")
TWO_NODES = ("--nodes=2", *ONE_RANK)
OVER = "COMPLETED|FAILED|CANCELLED|TIMEOUT|NODE_FAIL|DEADLINE"


@dataclass(frozen=True)
class Cluster:
    """A Slurm, and a folder jobs are submitted from."""

    folder: Path
    environment: dict[str, str]

    def call(self, *command: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(word) for word in command], capture_output=True, text=True, check=False, timeout=100,
            cwd=self.folder, env=self.environment,
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def submit(self, script: str, *arguments: str, options: tuple[str, ...] = ()) -> int:
        path = ROOT / "slurm" / script
        return int(self.call("sbatch", "--parsable", *options, path, *arguments).stdout)

    def marketgpt(self, *arguments: object, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.call(
            sys.executable, "-c", "from marketgpt_core.cli import main; main()", *arguments, check=check
        )

    def says(self, job: int, field: str) -> str:
        text = self.call("scontrol", "--oneliner", "show", "job", job).stdout
        return next((word.partition("=")[2] for word in text.split() if word.startswith(f"{field}=")), "")

    def wait(self, job: int, states: str = OVER, *, within_s: float = 400) -> str:
        until = time.monotonic() + within_s
        while not re.fullmatch(states, state := self.says(job, "JobState")):
            assert time.monotonic() < until, f"job {job} is {state}\n{self.log(job)}"
            assert not re.fullmatch(OVER, state), f"job {job} is {state}\n{self.log(job)}"
            time.sleep(0.2)
        return state

    def log(self, job: int) -> str:
        path = Path(self.says(job, "StdOut"))
        return path.read_text(encoding="utf-8") if path.exists() else f"no log {path}"

    def completed(self, job: int, **limits: float) -> None:
        assert self.wait(job, **limits) == "COMPLETED", self.log(job)

    def run_of(self, job: int) -> Path:
        return self.folder / "runs" / f"{self.says(job, 'JobName')}-{job}"

    def trained(self, job: int, steps: int) -> Path:
        """Wait until a job has trained so many steps; return its run."""
        run, until = self.run_of(job), time.monotonic() + 300
        while not (run / "metrics.jsonl").exists() or len(curve(run)) < steps:
            assert time.monotonic() < until, self.log(job)
            assert self.says(job, "JobState") in {"PENDING", "CONFIGURING", "RUNNING"}, self.log(job)
            time.sleep(0.1)
        return run


@pytest.fixture(scope="module")
def cluster(tmp_path_factory) -> Iterator[Cluster]:
    if os.geteuid() != 0 or not (shutil.which("apt-get") or shutil.which("slurmctld")):
        pytest.skip("a local Slurm needs root, and Debian's packages or apt-get")
    state = Path(f"/tmp/marketgpt-slurm-{os.getpid()}")
    folder = tmp_path_factory.mktemp("cluster")
    environment = os.environ | {
        "SLURM_LOCAL": str(state),
        "SLURM_LOCAL_PORT": str(PORT),
        "SLURM_CONF": str(state / "etc" / "slurm.conf"),
        "MARKETGPT_HOME": str(ROOT),
        "MARKETGPT_RUNS": str(folder / "runs"),
        "MARKETGPT_VENV": sys.prefix,
        "OMP_NUM_THREADS": "1",
    }
    up = subprocess.run(
        [ROOT / "slurm" / "local" / "up"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
        env=environment,
    )
    try:
        assert up.returncode == 0, up.stderr
        yield Cluster(folder, environment)
    finally:
        subprocess.run([ROOT / "slurm" / "local" / "down"], check=True, timeout=100, env=environment)
        assert not state.exists()


def curve(run: Path) -> list[dict]:
    """Every number of every step and epoch, but for what the machine did."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    rows = [json.loads(line) for line in lines if line.endswith("\n")]
    return [{name: value for name, value in row.items() if name not in MACHINE_METRICS} for row in rows]


@pytest.fixture(scope="module")
def two_nodes(cluster) -> Path:
    """A run of two ranks on two nodes that nothing interrupted; only to be read."""
    job = cluster.submit("train_crypto_a100.sh", *TINY, options=TWO_NODES)
    cluster.completed(job)
    assert cluster.says(job, "NodeList") == "n[1-2]"
    assert cluster.says(job, "Restarts") == "0"
    return cluster.run_of(job)


@pytest.fixture(scope="module")
def one_rank(cluster) -> Path:
    """The same with one rank, through ``marketgpt slurm submit``; only to be read."""
    done = json.loads(
        cluster.marketgpt("slurm", "submit", "crypto", "--gpus", 1, "--json", "--no-evaluate", *TINY).stdout
    )
    job = int(done["job_id"])
    assert cluster.says(job, "Command") == done["script"]
    cluster.completed(job)
    assert Path(done["log"]).read_text(encoding="utf-8") == cluster.log(job)
    return Path(done["run_dir"])


def test_two_nodes_train_one_model_and_evaluate_it(two_nodes):
    run = Run.open(two_nodes)
    assert run.json("test_results.json")["horizons"]["1"]["models"]["model"]["count"] > 10
    assert [row["step"] for row in curve(two_nodes) if row["kind"] == "step"] == list(range(1, 101))
    # Each rank put its part into the last checkpoint.
    parts = (two_nodes / "checkpoints").glob("step-00000100/rank-*.safetensors")
    assert sorted(path.stem for path in parts) == ["rank-00000-of-00002", "rank-00001-of-00002"]


def test_warned_before_its_time_is_up_a_job_goes_on_as_if_nothing_had_happened(cluster, two_nodes):
    job = cluster.submit("train_crypto_a100.sh", *TINY, "--no-evaluate", options=TWO_NODES)
    run = cluster.trained(job, 5)
    cluster.call("scancel", "--batch", "--signal=USR1", job)
    cluster.completed(job)
    log = cluster.log(job)
    stopped = re.search(r"0: stopped by SIGUSR1 at step (\d+), which is kept", log)
    assert stopped, log
    assert 5 <= int(stopped[1]) < 100
    assert "stopped with status 75: back into the queue" in log
    assert cluster.says(job, "Restarts") == "1"
    assert curve(run) == curve(two_nodes)
    assert _weights(run) == _weights(two_nodes)


def _weights(run: Path) -> bytes:
    return (run / "model.safetensors").read_bytes()


@pytest.mark.parametrize("partition", ["low", "scavenge"])
def test_a_preempted_job_goes_on_once(cluster, one_rank, partition):
    """Of ``low`` it has time to put itself back; of ``scavenge`` Slurm does so at once, and kills it soon."""
    job = cluster.submit(
        "train_crypto_a100.sh", *TINY, "--no-evaluate", "checkpoint.every_steps=10",
        options=(*ONE_RANK, f"--partition={partition}"),
    )  # fmt: skip
    run = cluster.trained(job, 15)
    other = cluster.submit(
        "evaluate_run.sh", "no/such/run", options=("--partition=high", "--nodes=2", "--exclusive")
    )
    assert cluster.wait(other) == "FAILED"
    assert "no/such/run" in cluster.log(other)
    cluster.completed(job)
    log = cluster.log(job)
    assert ("back into the queue" in log) == (partition == "low"), log
    assert log.count(", start 2: ") == 1
    assert cluster.says(job, "Restarts") == "1"
    assert curve(run) == curve(one_rank)


def test_the_time_limit_itself(cluster):
    """Slurm looks every 30 s whether a job has less than the 300 s left at which it is to be warned."""
    job = cluster.submit("train_crypto_a100.sh", *TINY, "loop.max_steps=1000000", options=ONE_RANK)
    run = cluster.trained(job, 5)
    cluster.call("scontrol", "update", f"JobId={job}", "TimeLimit=5")
    cluster.wait(job, "PENDING", within_s=90)
    (kept,) = CheckpointStore(run).steps()[-1:]
    assert f"stopped by SIGUSR1 at step {kept}, which is kept" in cluster.log(job)
    cluster.call("scontrol", "update", f"JobId={job}", "TimeLimit=60")
    cluster.trained(job, len(curve(run)) + 1)
    assert cluster.says(job, "Restarts") == "1"
    cluster.call("scancel", job)
    assert cluster.wait(job) == "CANCELLED"
    steps = [row["step"] for row in curve(run) if row["kind"] == "step"]
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) > kept


def test_a_rank_that_dies_fails_the_job_within_a_minute(cluster):
    job = cluster.submit("train_crypto_a100.sh", *TINY, "loop.max_steps=1000000", options=TWO_NODES)
    run = cluster.trained(job, 5)
    ranks = subprocess.run(
        ["pgrep", "--full", f"^[^ ]*python[^ ]* -m {RANK} .*{run}$"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    assert len(ranks) == 2
    killed = time.monotonic()
    subprocess.run(["kill", "-KILL", ranks[-1]], check=True)
    assert cluster.wait(job, within_s=60) == "FAILED"
    assert time.monotonic() - killed < 60
    log = cluster.log(job)
    assert re.search(r"srun: error: n[12]: task [01]: Killed", log), log
    assert "error: training failed: srun ended with status " in log
    assert cluster.says(job, "Restarts") == "0"
    assert not (run / "manifest.json").exists()


def test_a_mistake_is_one_line_before_time_is_spent(cluster):
    """Nine windows for two ranks, four ranks for two GPUs."""
    jobs = {
        cluster.submit("train_crypto_a100.sh", *TINY, "loop.batch_size=9"):
            "error: loop.batch_size 9 is not a multiple of 2 processes",
        cluster.submit("train_crypto_a100.sh", *TINY, options=("--ntasks-per-node=4", "--cpus-per-task=1")):
            "error: this job has 4 tasks on a node with 2 GPUs: a rank needs one of its own, so ask sbatch "
            "for --ntasks-per-node=2, or for more GPUs",
    }  # fmt: skip
    for job, said in jobs.items():
        assert cluster.wait(job) == "FAILED"
        assert cluster.log(job).splitlines()[-1] == said
        assert not cluster.run_of(job).exists()


def test_a_cancelled_job_stays_cancelled_and_can_go_on_elsewhere(cluster, one_rank):
    job = cluster.submit("train_crypto_a100.sh", *TINY, options=ONE_RANK)
    run = cluster.trained(job, 5)
    cluster.call("scancel", job)
    assert cluster.wait(job) == "CANCELLED"
    until = time.monotonic() + 30
    while "is left to Slurm" not in cluster.log(job) and not CheckpointStore(run).steps():
        assert time.monotonic() < until, cluster.log(job)
        time.sleep(0.2)
    time.sleep(4)  # longer than a requeued job waits
    assert cluster.says(job, "JobState") == "CANCELLED"
    assert cluster.says(job, "Restarts") == "0"
    cluster.marketgpt("train", "--preset", "crypto", "--resume", "--no-evaluate", *TINY, f"run_dir={run}")
    assert curve(run) == curve(one_rank)


def test_reduced_and_full_side_by_side_each_evaluated_afterwards(cluster):
    said = cluster.call(ROOT / "slurm" / "launch_parallel_training.sh", *TINY, "loop.max_steps=20").stdout
    jobs = re.findall(r"^(\w+): job (\d+), evaluated by job (\d+); (.+)$", said, flags=re.MULTILINE)
    assert [name for name, *_ in jobs] == ["reduced", "full"]
    for _, training, evaluation, _ in jobs:
        assert cluster.says(int(evaluation), "Dependency").startswith(f"afterok:{training}(")
    for _, training, evaluation, run in jobs:
        cluster.completed(int(training))
        cluster.completed(int(evaluation))
        assert "test_results.json" in Run.open(Path(run)).manifest["files"]


def test_an_evaluation_does_not_wait_for_a_training_that_failed(cluster):
    said = cluster.call(ROOT / "slurm" / "launch_parallel_training.sh", *TINY, "loop.batch_size=7").stdout
    for training, evaluation in re.findall(r"job (\d+), evaluated by job (\d+)", said):
        assert cluster.wait(int(training)) == "FAILED"
        assert cluster.wait(int(evaluation)) == "CANCELLED"


def test_folds_train_side_by_side_and_are_merged_when_all_are_done(cluster):
    """The preset made small is AAPL's and IBM's; one task asks for the merge, an array of task 0 alone."""
    job = cluster.submit(
        "walk_forward_array.sh", "crypto", *TINY, "loop.max_steps=20", "engine.name=torch",
        options=("--array=1-2", *ONE_RANK, "--cpus-per-task=1"),
    )  # fmt: skip
    folder = cluster.folder / "runs" / f"walk-forward-crypto-{job}"
    until = time.monotonic() + 200
    while not (
        merges := cluster.call("squeue", "--noheader", "--name=walk-forward-merge", "--format=%A").stdout
    ):
        assert time.monotonic() < until, cluster.log(job)
        time.sleep(0.2)
    (merge,) = merges.split()
    assert cluster.says(int(merge), "Dependency").startswith(f"afterok:{job}_*(")
    cluster.completed(int(merge))
    assert (folder / "comparison.json").is_file()
    for fold in (1, 2):
        assert "test_results.json" in Run.open(folder / f"fold-{fold:02}").manifest["files"]
    comparison = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    assert len(comparison["folds"]) == 2


def test_an_unknown_partition_is_refused_with_those_there_are(cluster):
    done = cluster.marketgpt("slurm", "submit", "demo", "--partition", "gpus", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert (
        done.stderr
        == "error: unknown partition 'gpus'; did you mean 'gpu'? known: gpu, high, low, scavenge\n"
    )


def test_what_slurm_refuses_is_one_line(cluster):
    done = cluster.marketgpt("slurm", "submit", "demo", "--gpus", 2, "--gpu-type", "h200", check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: sbatch refuses: .*\n", done.stderr)
