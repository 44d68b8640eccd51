"""``marketgpt data verify``."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_data_sources.cli.options import (
    interval_of,
    interval_option,
    opened,
    option_option,
    print_table,
    source_option,
    symbols_option,
    wanted,
)

if TYPE_CHECKING:
    from marketgpt_core.universe import Universe
    from marketgpt_data_sources.quality import QualityConfig, QualityReport

FOUND_SOMETHING = 1
_MOST_SYMBOLS = 3


@click.command(short_help="Look for candles that cannot be trusted.")
@source_option
@symbols_option
@interval_option
@option_option
@click.option(
    "-q",
    "--quality",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="A threshold, as stale_bars=20; repeatable.",
)
@click.option(
    "--config",
    "file",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="TOML file of thresholds.",
)
@click.option("--check", "checks", multiple=True, metavar="A,B", help="Only these checks; repeatable.")
@click.option("--skip", multiple=True, metavar="A,B", help="Not these checks; repeatable.")
@click.option("--universe", "universe_name", metavar="U", help="Take calendars and categories from it.")
@click.option(
    "--severity",
    type=click.Choice(["refuse", "quarantine", "report"]),
    default="report",
    show_default=True,
    help="Only what is this bad or worse.",
)
@click.option(
    "--examples", default=3, show_default=True, type=click.IntRange(0), help="Lines to show of each check."
)
@click.option("--all", "show_all", is_flag=True, help="Show every line.")
@click.option("--strict", is_flag=True, help="Exit with status 1 when something is found.")
@json_option
def verify(
    source: str,
    symbols: str | None,
    interval: str,
    options: tuple[str, ...],
    *,
    overrides: tuple[str, ...],
    file: Path | None,
    checks: tuple[str, ...],
    skip: tuple[str, ...],
    universe_name: str | None,
    severity: str,
    examples: int,
    show_all: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Look for candles that cannot be trusted: impossible, missing, stale, spiky, shifted, unadjusted.

    Nothing is changed. docs/data-quality.md explains every check.
    """
    from marketgpt_core.clock import SystemClock
    from marketgpt_data_sources import quality

    config = _config(file, overrides, checks, skip)
    length = interval_of(interval)
    universe = _universe(universe_name)
    place = opened(source, options)
    if symbols is None and universe is not None and not place.symbols(length):
        symbols = ",".join(universe.symbols)
    report = quality.verify(
        place,
        interval=length,
        symbols=wanted(place, source, symbols, length),
        config=config,
        now=SystemClock().now(),
        calendars=None if universe is None else universe.calendars,
        category=None if universe is None else universe.categories,
    ).at_least(quality.Severity(severity))
    if as_json:
        print_json(report.to_dict())
    else:
        _print(report, severity, None if show_all else examples)
    if strict and not report.is_clean:
        sys.exit(FOUND_SOMETHING)


def _config(
    file: Path | None, overrides: Sequence[str], checks: Sequence[str], skip: Sequence[str]
) -> QualityConfig:
    from marketgpt_core.config import apply_overrides, load_config, read_toml
    from marketgpt_data_sources.quality import QualityConfig

    values = apply_overrides({} if file is None else read_toml(file), overrides)
    if checks:
        values["checks"] = list(_names(checks))
    if skip:
        values["skip"] = list(_names(skip))
    where = "the command line" if file is None else f"{file} and the command line"
    return load_config(QualityConfig, values, where=where)


def _names(texts: Sequence[str]) -> Iterator[str]:
    return (name for text in texts for part in text.split(",") if (name := part.strip()))


def _universe(name: str | None) -> Universe | None:
    from marketgpt_core.universe import open_universe

    return None if name is None else open_universe(name)


def _print(report: QualityReport, severity: str, examples: int | None) -> None:
    summary = report.summary()
    if summary:
        print_table(summary)
        click.echo()
    for row in summary if examples != 0 else ():
        issues = report.of(row["check"])
        click.echo(f"{row['check']}:")
        for issue in issues[:examples]:
            click.echo(f"  {issue.where}: {issue}")
        if examples is not None and len(issues) > examples:
            click.echo(f"  ... and {len(issues) - examples:,} more: --all")
        click.echo()
    looked_at = f"{_counted(report.num_rows, 'candle')} of {_counted(report.num_symbols, 'symbol')}"
    nothing = "nothing is wrong" if severity == "report" else f"nothing to {severity}"
    click.echo(f"{looked_at}: {nothing if report.is_clean else _counted(len(report.issues), 'issue')}")
    if report.weekdays_only:
        shown = ", ".join(report.weekdays_only[:_MOST_SYMBOLS])
        more = ", ..." if len(report.weekdays_only) > _MOST_SYMBOLS else ""
        click.echo(
            f"no calendar is published for {len(report.weekdays_only):,} of them ({shown}{more}): "
            "only long gaps are told; --universe U may know theirs",
            err=True,
        )


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
