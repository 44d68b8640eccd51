"""``marketgpt walk-forward``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from marketgpt_core.cli.options import json_option, print_json, progress_console

if TYPE_CHECKING:
    from marketgpt_training.walkforward.plan import Plan, Window


@click.command("walk-forward")
@click.option("--preset", "name", required=True, help="Preset; its split is the first fold's.")
@click.option("--folds", type=int, default=5, show_default=True, help="Test blocks after the first split.")
@click.option(
    "--window", type=click.Choice(("expanding", "rolling")), default="expanding", show_default=True,
    help="Whether training parts grow or move along.",
)  # fmt: skip
@click.option("--source", help="Replace the preset's source: name or name:location.")
@click.option("--processes", type=click.IntRange(min=1), default=1, show_default=True, help="Ranks here.")
@click.option("--fold", "only", type=int, multiple=True, help="Only this fold, and no merging. Repeatable.")
@click.option("--merge", "merge_only", is_flag=True, help="Only compare the folds that are finished.")
@json_option
@click.argument("overrides", nargs=-1)
def walk_forward(
    *,
    name: str,
    folds: int,
    window: Window,
    source: str | None,
    processes: int,
    only: tuple[int, ...],
    merge_only: bool,
    as_json: bool,
    overrides: tuple[str, ...],
) -> None:
    """Train and test a preset on fold after fold, then compare them.

    Finished folds are left as they are, begun ones gone on with, so the same command line resumes; on a
    cluster, folds run side by side with --fold and are compared with --merge. OVERRIDES are key.sub=value;
    run_dir=DIR says where to write.
    """
    from marketgpt_core.clock import SystemClock
    from marketgpt_core.errors import ConfigError
    from marketgpt_training.cli import run_dir_of

    if only and merge_only:
        raise ConfigError("--fold trains, --merge compares: give one of them")
    folder, rest = run_dir_of(overrides)
    if folder is None:
        if only or merge_only:
            raise ConfigError("--fold and --merge need run_dir=DIR, the folder all folds share")
        folder = Path("runs") / f"{name}_walk-forward_{SystemClock().now():%Y%m%d_%H%M%S}"
    if not merge_only:
        plan = _plan(name, (*((f"data.source={source}",) if source else ()), *rest), folds, window, folder)
        for number in only or range(1, len(plan.folds) + 1):
            _train_fold(plan, number, folder, processes=processes)
    if not only:
        _merge(folder, as_json=as_json)


def _plan(name: str, overrides: tuple[str, ...], folds: int, window: Window, folder: Path) -> Plan:
    from marketgpt_training.config import preset
    from marketgpt_training.loading import load_candles, with_symbols
    from marketgpt_training.walkforward.plan import claim_plan, plan_folds

    config = with_symbols(preset(name, overrides))
    plan = plan_folds(config, load_candles(config), folds=folds, window=window)
    claim_plan(plan, folder)
    return plan


def _train_fold(plan: Plan, number: int, folder: Path, *, processes: int) -> None:
    from marketgpt_training.cli import train_and_evaluate
    from marketgpt_training.walkforward.plan import fold_folder

    config = plan.config_of(number)
    fold = plan.folds[number - 1]
    progress_console().print(
        f"fold {number} of {len(plan.folds)}: trained until {fold.train_until}, validated until "
        f"{fold.validation_until}, tested until {fold.test_until or 'the end'}",
        highlight=False,
    )
    train_and_evaluate(
        config, fold_folder(folder, number), processes=processes, resume=True, do_evaluate=True,
        as_json=False, quiet=True,
    )  # fmt: skip


def _merge(folder: Path, *, as_json: bool) -> None:
    from rich.console import Console

    from marketgpt_training.walkforward.merge import merge
    from marketgpt_training.walkforward.page import comparison_tables

    console = progress_console()
    comparison = merge(folder, on_stage=lambda stage: console.print(stage, highlight=False, style="dim"))
    if as_json:
        print_json(comparison)
        return
    for table in comparison_tables(comparison):
        Console().print(table)
    console.print(f"comparison: {folder / 'comparison.html'}; the folds' ensemble: {folder / 'ensemble'}")
