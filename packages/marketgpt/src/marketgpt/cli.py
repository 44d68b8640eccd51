"""``marketgpt demo`` and ``marketgpt serve``."""

from __future__ import annotations

import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marketgpt.workspace import DEFAULT_FOLDER, Workspace
from marketgpt_core.cli.options import json_option, print_json, progress_console

if TYPE_CHECKING:
    from marketgpt.demo import DemoResult


@click.command()
@click.option("--out", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), help="Seed of everything random.")
@click.option("--overwrite", is_flag=True, help="Replace an earlier demo in the folder.")
@json_option
@click.argument("overrides", nargs=-1)
def demo(*, out: Path, seed: int | None, overwrite: bool, as_json: bool, overrides: tuple[str, ...]) -> None:
    """Go the whole way on embedded real candles: offline, on a CPU, in minutes.

    OVERRIDES are key.sub=value on the preset 'demo', for example loop.max_epochs=3.
    """
    # Mistakes first: the imports below take seconds.
    from marketgpt_training.config import preset

    preset("demo", overrides)
    Workspace(out).check(overwrite=overwrite)
    console = progress_console()
    started = time.perf_counter()

    def on_stage(text: str) -> None:
        console.print(f"[{time.perf_counter() - started:5.0f} s] [bold]{text}[/bold]", highlight=False)

    from marketgpt.demo import run_demo, summary

    made = run_demo(out, seed=seed, overwrite=overwrite, overrides=overrides, on_stage=on_stage)
    if as_json:
        print_json(summary(made))
        return
    _print_table(made, time.perf_counter() - started)


def _print_table(made: DemoResult, took_s: float) -> None:
    from rich.console import Console
    from rich.table import Table

    from marketgpt.demo import SYMBOL, summary
    from marketgpt_core.horizons import horizon_name

    values: dict[str, Any] = summary(made)
    category = made.candles[SYMBOL].category
    table = Table(
        title=f"{SYMBOL}, as of {values['signals']['as_of']}", title_justify="left", header_style="bold"
    )
    for heading in ("horizon", "signal", "P(up)", "CRPS / GARCH-t", "90% covers", "direction", "always up"):
        table.add_column(heading, justify="right")
    for horizon, signal in values["signals"]["newest"].items():
        test = values["test"][horizon]
        table.add_row(
            horizon_name(int(horizon), category), signal["side"], f"{signal['p_up']:.1%}",
            f"{test['crps_ratio']['garch_t']:.3f}", f"{test['coverage_90']:.1%}",
            f"{test['direction_accuracy']:.1%}", f"{test['always_up_accuracy']:.1%}",
        )  # fmt: skip
    console = Console()
    console.print(table)
    back, workspace = values["backtest"], made.workspace
    console.print(
        f"backtest after costs: {back['total_return']:+.1%} (Sharpe {back['sharpe']:.2f}); "
        f"buy and hold {back['buy_and_hold_total_return']:+.1%} (Sharpe {back['buy_and_hold_sharpe']:.2f})\n"
        f"monitor: {values['monitor']}\n"
        f"report:  {workspace.report}\nrun:     {workspace.run}\nledger:  {workspace.ledger}\n"
        f"{took_s:.0f} s. See it live: marketgpt serve {workspace.folder}",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER)
@click.option("--ledger", help="Ledger to serve: a file or a database URL. Default: FOLDER/ledger.db.")
@click.option("--source", help="Candles to draw: name or name:location. Default: parquet:FOLDER/candles.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(1, 65535), default=8501, show_default=True)
@click.option(
    "--require-key", is_flag=True, help="Want an API key also on this machine: marketgpt keys create."
)
@click.option("--rate-limit", default="6000/minute", show_default=True, help="Of requests of one client.")
def serve(
    *,
    folder: Path,
    ledger: str | None,
    source: str | None,
    host: str,
    port: int,
    require_key: bool,
    rate_limit: str,
) -> None:
    """Serve the REST API (/v1, /docs) and the dashboard (/dashboard) over a ledger.

    FOLDER is what `marketgpt demo` wrote. Beyond loopback every request needs an API key, so that one must
    exist, and there is no dashboard: it knows no keys.
    """
    from marketgpt.serve import serve as run_server

    workspace = Workspace(folder)
    shown = f"[{host}]" if ":" in host else host

    require_key = require_key or not _is_loopback(host)

    def on_start() -> None:
        dashboard = (
            "no dashboard, as it knows no keys"
            if require_key
            else f"dashboard http://{shown}:{port}/dashboard"
        )
        click.echo(f"{dashboard}   API http://{shown}:{port}/docs   (Ctrl-C stops)")

    candles = source or f"parquet:{workspace.candles}"
    run_server(
        ledger or workspace.ledger,
        candles,
        forecasts=workspace.forecasts,
        host=host,
        port=port,
        require_key=require_key,
        rate_limit=rate_limit,
        on_start=on_start,
    )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
