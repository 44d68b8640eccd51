"""``marketgpt data``: what sources there are, whether their candles are sound, and saving some."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_core.errors import PluginError

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles
    from marketgpt_core.interval import Interval
    from marketgpt_data_sources.base import DataSource

FOUND_SOMETHING = 1

_source = click.option(
    "--source", required=True, metavar="S", help="name or name:location, as in 'data list'."
)
_symbols = click.option("--symbols", metavar="A,B", help="Only these; left out: all the source lists.")
_interval = click.option("--interval", default="1d", show_default=True, help="1m, 5m, 1h, 1d or 1w.")
_option = click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the source; repeatable.",
)


@click.group()
def data() -> None:
    """List data sources, look at candles and fetch them."""


@data.command("list", short_help="List the sources, or what one of them has.")
@click.option("--source", metavar="S", help="List the symbols of this source instead.")
@_symbols
@_interval
@_option
@json_option
def list_(
    source: str | None, symbols: str | None, interval: str, options: tuple[str, ...], *, as_json: bool
) -> None:
    """List the sources, or with --source its symbols and what it has of them."""
    others: list[str] = []
    if source is None:
        rows = _sources()
    else:
        opened = _opened(source, options)
        length = _interval_of(interval)
        candles = opened.fetch(_wanted(opened, source, symbols, length), interval=length)
        rows = [_summary(candles, symbol) for symbol in candles]
        others = _other_intervals(opened, length)
    if as_json:
        print_json(rows)
        return
    _print_table(rows)
    if others:
        click.echo(f"also at {', '.join(others)}: --interval {others[0]}", err=True)


@data.command(short_help="Look for impossible, repeated and disordered candles.")
@_source
@_symbols
@_interval
@_option
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

    length = _interval_of(interval)
    opened = _opened(source, options)
    report = quality.verify(opened, interval=length, symbols=_wanted(opened, source, symbols, length))
    if as_json:
        print_json(report.to_dict())
    else:
        for issue in report.issues:
            click.echo(f"{issue.where}: {issue}")
        found = "nothing is wrong" if report.is_clean else f"{len(report.issues)} faults"
        click.echo(f"{report.num_rows:,} candles of {report.num_symbols:,} symbols: {found}")
    if strict and not report.is_clean:
        sys.exit(FOUND_SOMETHING)


@data.command(short_help="Save candles as Parquet files.")
@_source
@_symbols
@click.option("--since", metavar="DATE", help="First date, inclusive.")
@click.option("--until", metavar="DATE", help="Last date, exclusive.")
@_interval
@_option
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

    opened, length = _opened(source, options), _interval_of(interval)
    asked = _wanted(opened, source, symbols, length)
    candles = opened.fetch(asked, start=since, end=until, interval=length)
    paths = write_parquet(candles, out)
    without = [symbol for symbol in asked if symbol not in candles]
    if as_json:
        rows = [
            {**_summary(candles, name), "path": str(path)} for name, path in zip(candles, paths, strict=True)
        ]
        print_json({"fingerprint": candles.fingerprint(), "written": rows, "without_candles": without})
        return
    if without:
        click.echo(f"no candles in this range: {', '.join(without)}", err=True)
    click.echo(f"{candles.num_candles:,} candles of {len(candles):,} symbols written to {out}")
    if paths:
        click.echo(f"fingerprint {candles.fingerprint()[:16]}; read them as parquet:{out}")


def _opened(source: str, options: Sequence[str]) -> DataSource:
    from marketgpt_core.config import apply_overrides
    from marketgpt_data_sources.source import open_source

    return open_source(source, apply_overrides({}, options))


def _wanted(opened: DataSource, source: str, symbols: str | None, interval: Interval) -> Sequence[str]:
    from marketgpt_data_sources.source import all_symbols

    if symbols is None:
        return all_symbols(opened, source, interval)
    wanted = [part.strip() for part in symbols.split(",") if part.strip()]
    if not wanted:
        raise click.BadParameter("name at least one symbol, for example AAPL,MSFT", param_hint="--symbols")
    return wanted


def _interval_of(text: str) -> Interval:
    from marketgpt_core.interval import Interval

    return Interval.parse(text)


def _other_intervals(opened: DataSource, shown: Interval) -> list[str]:
    return [str(one) for one in type(shown) if one is not shown and opened.symbols(one)]


def _sources() -> list[dict[str, Any]]:
    from marketgpt_data_sources.registry import data_sources

    rows = []
    for name in data_sources().names():
        plugin = data_sources().provider(name)
        try:
            cls = data_sources().load(name)
        except PluginError as error:
            written, about = name, f"(broken) {' '.join(str(error).split())}"
        else:
            written = f"{name}:{cls.location_hint}" if cls.location_field else name
            about = (cls.__doc__ or "").strip().partition("\n")[0]
        rows.append(
            {"source": written, "distribution": f"{plugin.distribution} {plugin.version}", "about": about}
        )
    return rows


def _summary(candles: Candles, symbol: str) -> dict[str, Any]:
    from marketgpt_core.times import iso

    series = candles[symbol]
    return {
        "symbol": symbol,
        "category": str(series.category),
        "interval": str(series.interval),
        "first": iso(series.time[0]),
        "last": iso(series.time[-1]),
        "candles": len(series),
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    if not rows:
        click.echo("no candles")
        return
    texts = [{name: name for name in rows[0]}, *({k: str(v) for k, v in row.items()} for row in rows)]
    widths = {name: max(len(text[name]) for text in texts) for name in rows[0]}
    for text in texts:
        click.echo("  ".join(text[name].ljust(width) for name, width in widths.items()).rstrip())
