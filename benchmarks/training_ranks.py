"""Two processes on two cores beside one process on one: candles a second through DeepSpeed.

Arms, in turns, each in fresh processes bound to a core apiece, with the same windows in a global batch:
``one`` (1 process), ``two`` (2 ranks) and ``apart`` (2 processes that know nothing of each other, half the
windows each). What ``apart`` reaches is what two cores that share their memory give at most; what ``two``
lacks of it is the price of reducing gradients and of waiting for the slower rank. Wall time of a step, the
median after the first ones; a repeat's ratios are of that repeat's own arms. On a machine that others use,
wall time tells little: ``*_by_cpu`` is the same ratio from CPU seconds of a rank, what it would be if nobody
else had the cores and ranks never waited for each other. Run it with::

    uv run python benchmarks/training_ranks.py --steps 5 --repeats 3
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

LEAST_RATIO = 1.7
SHAPES = {"4M": "medium", "25M": "reduced", "85M": "full-market"}
_WARMUP = 2
ARMS = ("one", "two", "apart")


def worker(arguments: argparse.Namespace) -> None:
    """Train as one rank, and print what each step took and held."""
    import torch

    from marketgpt_core.testing import make_candles
    from marketgpt_training import pipeline, preset
    from marketgpt_training.observers import Observers

    # Only the first rank's observers are told.
    rank = int(os.environ.get("RANK", "0"))
    marks: list[tuple[float, float]] = []

    class Clock(Observers):
        def tell(self, hook: str, **values: object) -> None:
            super().tell(hook, **values)
            if hook == "step_end":
                marks.append((time.perf_counter(), time.process_time()))

    torch.set_num_threads(1)
    candles = make_candles(
        tuple(f"S{number:02d}" for number in range(20)), num_candles=3_000, start="2003-01-01"
    )
    config = preset(
        "small",
        (
            f"model={{name='market_gpt',shape='{SHAPES[arguments.size]}'}}",
            f"engine={{name='deepspeed',options={{zero_stage={arguments.zero_stage}}}}}",
            f"loop.max_steps={arguments.steps + _WARMUP}", f"loop.batch_size={arguments.batch}",
            "loop.threads=1", "split.train_until=2012-01-01", "split.validation_until=2012-04-01",
        ),
    )  # fmt: skip
    prepared = pipeline.prepare(config, candles)
    with patch.object(pipeline, "Observers", Clock), tempfile.TemporaryDirectory() as folder:
        shared = Path(arguments.folder or folder)
        with patch.object(pipeline.Trainer, "_validate", lambda _: {"loss": 1.0, "nll": 1.0}):
            pipeline.fit(config, prepared, shared)
    if rank == 0:
        pairs = zip(marks[_WARMUP - 1 :], marks[_WARMUP:], strict=False)
        steps = [(wall - wall_0, cpu - cpu_0) for (wall_0, cpu_0), (wall, cpu) in pairs]
        sys.stdout.write(json.dumps({"steps": steps, "context": prepared.train.context}) + "\n")


def started(arguments: argparse.Namespace, batch: int, environment: dict[str, str], core: int) -> Any:  # noqa: ANN401
    """Start a worker on a core."""
    command = [
        "taskset", "-c", str(core), sys.executable, __file__, "--worker", "--size", arguments.size,
        "--steps", str(arguments.steps), "--batch", str(batch), "--zero-stage", str(arguments.zero_stage),
        "--folder", environment.get("FOLDER", ""),
    ]  # fmt: skip
    return subprocess.Popen(
        command,
        env=os.environ | environment | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def measured(arm: str, arguments: argparse.Namespace) -> tuple[float, float]:
    """Return an arm's candles a second: by the clock, and if its processes never waited."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    with tempfile.TemporaryDirectory() as folder:
        if arm == "one":
            running = [started(arguments, arguments.batch, {}, cores[0])]
        elif arm == "apart":
            running = [started(arguments, arguments.batch // 2, {}, core) for core in cores]
        else:
            running = [
                started(arguments, arguments.batch, group, core)
                for core, group in zip(cores, groups(folder), strict=True)
            ]
        said = [one.communicate(timeout=arguments.timeout) for one in running]
    if any(one.returncode for one in running):
        raise SystemExit("\n".join(errors[-2_000:] for _, errors in said))
    lines = [line for out, _ in said for line in out.splitlines() if line.startswith('{"steps"')]
    reports = [json.loads(line) for line in lines]
    # Of two ranks the first one reports, for both; each does half of the windows.
    share, times = arguments.batch / len(running), len(running) / len(reports)
    wall, cpu = (
        times
        * sum(
            share * one["context"] / statistics.median(step[kind] for step in one["steps"]) for one in reports
        )
        for kind in (0, 1)
    )
    return wall, cpu


def groups(folder: str) -> list[dict[str, str]]:
    """Return the environments of two ranks."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "LOCAL_SIZE": "2"}
    return [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank), "FOLDER": folder} for rank in (0, 1)]


def main() -> int:
    """Print a row a repeat and one of medians; exit 1 when two cores give too little."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="25M", choices=list(SHAPES))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--zero-stage", type=int, default=0, choices=range(4))
    parser.add_argument("--timeout", type=float, default=900.0)
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=ARMS)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        worker(arguments)
        return 0
    rows: list[dict[str, float]] = []
    for _ in range(arguments.repeats):
        speeds = {arm: measured(arm, arguments) for arm in arguments.arms}
        row = {f"{arm}_candles_s": round(wall, 1) for arm, (wall, _) in speeds.items()}
        row |= {f"{arm}_candles_cpu_s": round(cpu, 1) for arm, (_, cpu) in speeds.items()}
        for arm in set(arguments.arms) - {"one"}:
            wall, cpu = (ours / one for ours, one in zip(speeds[arm], speeds["one"], strict=True))
            row |= {arm: round(wall, 3), f"{arm}_by_cpu": round(cpu, 3)}
        row["load"] = round(os.getloadavg()[0], 2)
        rows.append(row)
        print(json.dumps(row), flush=True)
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    print(
        json.dumps({"size": arguments.size, "zero_stage": arguments.zero_stage, "median": medians}),
        flush=True,
    )
    return 0 if medians.get("two", LEAST_RATIO) >= LEAST_RATIO else 1


if __name__ == "__main__":
    sys.exit(main())
