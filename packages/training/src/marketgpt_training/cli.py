"""``marketgpt train``, ``marketgpt train status`` and ``marketgpt evaluate``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import click

from marketgpt_core.cli.options import json_option, print_json, progress_console
from marketgpt_training.page.command import train_page

if TYPE_CHECKING:
    from marketgpt_training.config import TrainConfig


@click.command("status")
@click.argument("runs", nargs=-1, type=click.Path(path_type=Path))
@click.option("--all", "every", is_flag=True, help="Every run below the folders given, runs/ by default.")
@json_option
def train_status(*, runs: tuple[Path, ...], every: bool, as_json: bool) -> None:
    """Say how far RUNS have come: step, loss, candles a second, time spent and left, last checkpoint.

    A run that says nothing for two minutes is called silent: it was killed, or its machine is.
    """
    from marketgpt_core.clock import SystemClock
    from marketgpt_core.errors import ConfigError
    from marketgpt_training.status import runs_below, states_of, status_of, status_table

    if not runs and not every:
        raise ConfigError("which run? marketgpt train status RUN ..., or --all for every run below runs/")
    now = SystemClock().now()
    if every:
        # One damaged folder among many is a row of its own; a run asked for by name is an error.
        rows = states_of(runs_below(runs or (Path("runs"),)), now=now, curves=True)
    else:
        rows = [status_of(folder, now=now) for folder in runs]
    if as_json:
        print_json(rows)
        return
    from rich.console import Console

    Console().print(status_table(rows))


class _Train(click.Command):
    """``train`` with overrides as arguments, and its commands, which ask for no preset."""

    commands: ClassVar[dict[str, click.Command]] = {"status": train_status, "page": train_page}

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: object
    ) -> click.Context:
        if args and args[0] in self.commands:
            return self.commands[args[0]].make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)


@click.command(
    cls=_Train,
    epilog="marketgpt train status RUN ... tells how far runs have come, marketgpt train page shows it live.",
)
@click.option("--preset", "name", required=True, help="Preset, for example demo.")
@click.option("--source", help="Replace the preset's source: name or name:location.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Ranks here.")
@click.option(
    "--launcher", type=click.Choice(("auto", "here", "srun")), default="auto", show_default=True,
    help="Who starts ranks. auto: srun in a Slurm job, a rank for each task.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on from run_dir's newest checkpoint, if it has one.")
@click.option("--evaluate/--no-evaluate", "do_evaluate", default=True, help="Evaluate on the test part.")
@json_option
@click.argument("overrides", nargs=-1)
def train(
    *,
    name: str,
    source: str | None,
    processes: int,
    launcher: str,
    resume: bool,
    do_evaluate: bool,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Train a preset, write a sealed run folder, evaluate it on the test part.

    OVERRIDES are key.sub=value, for example optim.lr=1e-3 seed=3; run_dir=DIR says where to write. SIGTERM
    or SIGUSR1 stops with a checkpoint and status 75; --resume goes on as if nothing had happened.
    """
    from marketgpt_core.clock import SystemClock
    from marketgpt_training.config import preset

    folder, rest = run_dir_of(overrides)
    config = preset(name, (*((f"data.source={source}",) if source else ()), *rest))
    folder = folder or Path("runs") / f"{name}_{SystemClock().now():%Y%m%d_%H%M%S}"
    train_and_evaluate(
        config, folder, processes=processes, launcher=launcher, resume=resume, do_evaluate=do_evaluate,
        as_json=as_json,
    )  # fmt: skip


def run_dir_of(overrides: tuple[str, ...]) -> tuple[Path | None, tuple[str, ...]]:
    """Return the folder ``run_dir=DIR`` names, if any, and the other overrides."""
    folder = next((Path(o.partition("=")[2]) for o in overrides if o.startswith("run_dir=")), None)
    return folder, tuple(o for o in overrides if not o.startswith("run_dir="))


def train_and_evaluate(
    config: TrainConfig,
    folder: Path,
    *,
    processes: int,
    resume: bool,
    do_evaluate: bool,
    as_json: bool,
    quiet: bool = False,
    launcher: str = "auto",
    on_trained: Callable[[], None] = lambda: None,
) -> None:
    """Do what ``train`` and ``finetune`` do once they know the configuration; a stop ends the process."""
    from marketgpt_core.run import MANIFEST, Run
    from marketgpt_training.evaluation import RESULTS_FILE
    from marketgpt_training.interruption import EXIT_STATUS, TrainingInterrupted
    from marketgpt_training.launch import choose_launcher, launch

    try:
        ranks = choose_launcher(launcher, processes=processes)
        if ranks and not (resume and (folder / MANIFEST).exists()):
            launch(config, folder, ranks, resume=resume)
        else:
            # Here, since a process that only starts ranks needs no torch.
            from marketgpt_training.pipeline import train as train_here

            train_here(config, folder, resume=resume)
    except TrainingInterrupted as interrupted:
        progress_console().print(str(interrupted), highlight=False)
        sys.exit(EXIT_STATUS)
    progress_console().print(f"run: {folder}", highlight=False)
    on_trained()
    if do_evaluate and not (resume and RESULTS_FILE in Run.open(folder).manifest["files"]):
        _evaluate_run(folder, as_json=as_json, quiet=quiet)


def _evaluate_run(folder: Path, *, as_json: bool, quiet: bool) -> None:
    from marketgpt_training.evaluation.of_run import evaluate_run

    results = evaluate_run(folder)
    if not quiet:
        _report(results, as_json=as_json)


def _report(results: dict[str, object], *, as_json: bool) -> None:
    if as_json:
        print_json(results)
        return
    from rich.console import Console

    from marketgpt_training.evaluation.table import results_tables

    Console().print(results_tables(results))


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--source", help="Score on other candles: name or name:location. Default: the run's own.")
@click.option("--symbols", help="Comma-separated. Default: the run's own, or all of --source.")
@click.option("--from", "start", help="First as-of date. Default: the first the run never saw.")
@click.option("--to", "end", help="First as-of date left out.")
@click.option("--every", type=click.IntRange(min=1), default=None, help="Sessions between forecasts.")
@click.option("--samples", "num_samples", type=click.IntRange(min=20), default=None, help="Per forecast.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--html", type=click.Path(dir_okay=False, path_type=Path), help="Write a page here.")
@json_option
def evaluate(
    *,
    run: Path,
    source: str | None,
    symbols: str | None,
    start: str | None,
    end: str | None,
    every: int | None,
    num_samples: int | None,
    seed: int,
    html: Path | None,
    as_json: bool,
) -> None:
    """Score RUN on candles it never saw, beside GARCH-t, GJR-t, EWMA, AR(1), log-HAR and the past itself.

    Density (CRPS, pinball, nats), calibration, volatility, direction and tokens, each with an interval; a
    star marks what the interval settles, also where the model loses.
    """
    from marketgpt_training.evaluation.of_run import evaluate_run

    results = evaluate_run(
        run,
        source=source,
        symbols=tuple(symbols.split(",")) if symbols else (),
        start=start,
        end=end,
        every=every,
        num_samples=num_samples,
        seed=seed,
        record=not any((source, symbols, start, end, every, num_samples, seed)),
        html=html,
    )
    _report(results, as_json=as_json)
