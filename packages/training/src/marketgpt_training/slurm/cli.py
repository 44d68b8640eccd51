"""``marketgpt slurm``: batch scripts written, shown and submitted."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marketgpt_core.cli.options import json_option, print_json

if TYPE_CHECKING:
    from marketgpt_training.slurm.job import Job


@click.group()
def slurm() -> None:
    """Train on a Slurm cluster: jobs that survive time limits and preemption."""


@slurm.command()
@click.argument("preset")
@click.option("--nodes", type=click.IntRange(min=1), help="Machines.")
@click.option("--gpus", type=click.IntRange(min=0), help="GPUs of each, a rank for each; 0: CPUs alone.")
@click.option("--gpu-type", help="As the cluster calls it; empty: any.")
@click.option("--cpus", type=click.IntRange(min=1), help="Cores of a rank.")
@click.option("--memory", help="Of a machine, for example 128G.")
@click.option("--time", "limit", help="D-HH:MM:SS; the job is put back into the queue when it is up.")
@click.option("--partition", help="Default: the cluster's.")
@click.option("--account", help="Who pays.")
@click.option("--qos", help="Quality of service.")
@click.option("--constraint", help="Features of nodes, for example a100&nvlink.")
@click.option("--mail", help="Told of the end, a failure, a requeue.")
@click.option("--name", help="The job's. Default: the preset's.")
@click.option("--source", help="Replace the preset's source: name or name:location.")
@click.option("--evaluate/--no-evaluate", "do_evaluate", default=True, help="Evaluate on the test part.")
@click.option("--dry-run", is_flag=True, help="Print the script and submit nothing; needs no Slurm.")
@json_option
@click.argument("overrides", nargs=-1)
def submit(
    *,
    preset: str,
    limit: str | None,
    source: str | None,
    do_evaluate: bool,
    dry_run: bool,
    as_json: bool,
    overrides: tuple[str, ...],
    **asked: Any,  # noqa: ANN401 - a value for each field of Job
) -> None:
    """Write the batch script that trains PRESET, submit it, say what was done.

    What is not asked for is as in slurm/train_*.sh. OVERRIDES are key.sub=value; run_dir=DIR says where to
    train. The script goes to slurm-jobs/; slurm/env.sh is yours to change and is added when it is not there.
    """
    options = (*(("--source", source) if source else ()), *(() if do_evaluate else ("--no-evaluate",)))
    job = _job(preset, (*options, *overrides), {**asked, "time": limit})
    _check(job, source, overrides)
    _submit(job, dry_run=dry_run, as_json=as_json)


@slurm.command()
@click.option("--dry-run", is_flag=True, help="Show the script and submit nothing; needs no Slurm.")
@click.argument("overrides", nargs=-1)
def launch(*, dry_run: bool, overrides: tuple[str, ...]) -> None:
    """Ask what to train on what, show the script, submit it when you say so."""
    from marketgpt_training.config import preset_names
    from marketgpt_training.slurm.submission import partitions

    preset = click.prompt("preset", type=click.Choice(preset_names()), default="reduced")
    usual = _job(preset, (), {})
    asked: dict[str, Any] = {
        "nodes": click.prompt("nodes", type=click.IntRange(min=1), default=usual.nodes),
        "gpus": click.prompt("GPUs of each", type=click.IntRange(min=0), default=usual.gpus),
    }
    if asked["gpus"]:
        asked["gpu_type"] = click.prompt("their type (- for any)", default=usual.gpu_type or "-").strip("-")
    if not dry_run:
        known = partitions()
        asked["partition"] = click.prompt("partition", type=click.Choice(known), default=known[0])
    asked["time"] = click.prompt("time limit", default=usual.time)
    job = _job(preset, overrides, asked)
    _check(job, None, overrides)
    click.echo(_script(job))
    if not dry_run and click.confirm("submit it?", default=True):
        _submit(job, dry_run=False, as_json=False)


@slurm.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path("slurm"))
@click.option("--replace", is_flag=True, help="Also files that are there and differ.")
@json_option
def scripts(*, folder: Path, replace: bool, as_json: bool) -> None:
    """Write the batch scripts of the repository's slurm/ into FOLDER, ./slurm by default."""
    from marketgpt_training.slurm.submission import add_scripts

    written = add_scripts(folder, replace=replace)
    if as_json:
        print_json([str(path) for path in written])
        return
    for path in written:
        click.echo(f"wrote {path}")
    if not written:
        click.echo(f"{folder} has them all")


def _job(preset: str, overrides: tuple[str, ...], asked: dict[str, Any]) -> Job:
    """Return the job that ships for a preset, with what was asked for."""
    from dataclasses import replace

    from marketgpt_training.slurm.job import TRAINING_JOBS, Job

    shipped = {job.preset: job for job, _ in TRAINING_JOBS.values() if not job.overrides}
    # Checked before a script is made of it; an unknown one is refused with the close match, see _check.
    usual = shipped.get(preset) or Job(preset=preset, name=preset, gpus=1, gpu_type="")
    changed = {name: value for name, value in asked.items() if value is not None}
    return replace(usual, overrides=overrides, **changed)


def _check(job: Job, source: str | None, overrides: tuple[str, ...]) -> None:
    """Refuse before it has waited in a queue what the job would refuse."""
    from marketgpt_training.cli import run_dir_of
    from marketgpt_training.config import preset

    _, rest = run_dir_of(overrides)
    config = preset(job.preset, (*((f"data.source={source}",) if source else ()), *rest))
    config.loop.check_processes(job.ranks)


def _script(job: Job) -> str:
    about = f"Train the preset {job.preset}. Written by marketgpt slurm submit."
    return job.script(about=about, usage="sbatch this file, from the folder that holds slurm/")


def _submit(job: Job, *, dry_run: bool, as_json: bool) -> None:
    from marketgpt_core.clock import SystemClock
    from marketgpt_training.cli import run_dir_of
    from marketgpt_training.slurm.submission import submit as submit_script

    script = _script(job)
    if dry_run:
        if as_json:
            print_json({"submitted": False, "job": asdict(job), "script": script})
        else:
            click.echo(script, nl=False)
        return
    folder, _ = run_dir_of(job.overrides)
    home = Path.cwd()
    name = f"{job.name}_{SystemClock().now():%Y%m%d_%H%M%S_%f}"
    done = submit_script(job, script, home=home, name=name, run_dir=folder)
    if as_json:
        print_json({"submitted": True, **asdict(done), "job": asdict(job)})
        return
    for path in done.added:
        click.echo(f"wrote   {path}: yours to change")
    click.echo(
        f"script  {done.script}\njob     {done.job_id}\nlog     {done.log}\nrun     {done.run_dir}\n"
        f"watch   squeue --jobs {done.job_id}; tail -f {done.log}; marketgpt train status {done.run_dir}\n"
        f"cancel  scancel {done.job_id}"
    )
