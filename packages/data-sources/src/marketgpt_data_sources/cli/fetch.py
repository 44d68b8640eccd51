"""``marketgpt data fetch``."""

from __future__ import annotations

from pathlib import Path

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_data_sources.cli.options import (
    interval_of,
    interval_option,
    opened,
    option_option,
    source_option,
    summary,
    symbols_option,
    wanted,
)


@click.command(short_help="Save candles as Parquet files.")
@source_option
@symbols_option
@click.option("--since", metavar="DATE", help="First date, inclusive.")
@click.option("--until", metavar="DATE", help="Last date, exclusive.")
@interval_option
@option_option
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to write to.",
)
@json_option
def fetch(
    source: str,
    symbols: str | None,
    *,
    since: str | None,
    until: str | None,
    interval: str,
    options: tuple[str, ...],
    out: Path,
    as_json: bool,
) -> None:
    """Save candles, one Parquet file a symbol; read them back as the source parquet:DIR."""
    from marketgpt_data_sources.writing import write_parquet

    place, length = opened(source, options), interval_of(interval)
    asked = wanted(place, source, symbols, length)
    candles = place.fetch(asked, start=since, end=until, interval=length)
    paths = write_parquet(candles, out)
    without = [symbol for symbol in asked if symbol not in candles]
    if as_json:
        rows = [
            {**summary(candles, name), "path": str(path)} for name, path in zip(candles, paths, strict=True)
        ]
        print_json({"fingerprint": candles.fingerprint(), "written": rows, "without_candles": without})
        return
    if without:
        click.echo(f"no candles in this range: {', '.join(without)}", err=True)
    click.echo(f"{candles.num_candles:,} candles of {len(candles):,} symbols written to {out}")
    if paths:
        click.echo(f"fingerprint {candles.fingerprint()[:16]}; read them as parquet:{out}")
