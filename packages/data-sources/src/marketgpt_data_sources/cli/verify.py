"""``marketgpt data verify``."""

from __future__ import annotations

import sys

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_data_sources.cli.options import (
    interval_of,
    interval_option,
    opened,
    option_option,
    source_option,
    symbols_option,
    wanted,
)

FOUND_SOMETHING = 1


@click.command(short_help="Look for impossible, repeated and disordered candles.")
@source_option
@symbols_option
@interval_option
@option_option
@click.option("--strict", is_flag=True, help="Exit with status 1 when something is found.")
@json_option
def verify(
    source: str,
    symbols: str | None,
    interval: str,
    options: tuple[str, ...],
    *,
    strict: bool,
    as_json: bool,
) -> None:
    """Look for impossible, repeated and disordered candles, file by file and row by row."""
    from marketgpt_data_sources import quality

    length = interval_of(interval)
    place = opened(source, options)
    report = quality.verify(place, interval=length, symbols=wanted(place, source, symbols, length))
    if as_json:
        print_json(report.to_dict())
    else:
        for issue in report.issues:
            click.echo(f"{issue.where}: {issue}")
        found = "nothing is wrong" if report.is_clean else f"{len(report.issues)} faults"
        click.echo(f"{report.num_rows:,} candles of {report.num_symbols:,} symbols: {found}")
    if strict and not report.is_clean:
        sys.exit(FOUND_SOMETHING)
