"""``marketgpt data list``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_core.errors import PluginError
from marketgpt_data_sources.cli.options import (
    interval_of,
    interval_option,
    opened,
    option_option,
    print_table,
    summary,
    symbols_option,
    wanted,
)

if TYPE_CHECKING:
    from marketgpt_core.interval import Interval
    from marketgpt_data_sources.base import DataSource


@click.command("list", short_help="List the sources, or what one of them has.")
@click.option("--source", metavar="S", help="List the symbols of this source instead.")
@symbols_option
@interval_option
@option_option
@json_option
def list_(
    source: str | None, symbols: str | None, interval: str, options: tuple[str, ...], *, as_json: bool
) -> None:
    """List the sources, or with --source its symbols and what it has of them."""
    others: list[str] = []
    if source is None:
        rows = _sources()
    else:
        place = opened(source, options)
        length = interval_of(interval)
        candles = place.fetch(wanted(place, source, symbols, length), interval=length)
        rows = [summary(candles, symbol) for symbol in candles]
        others = _other_intervals(place, length)
    if as_json:
        print_json(rows)
        return
    print_table(rows)
    if others:
        click.echo(f"also at {', '.join(others)}: --interval {others[0]}", err=True)


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
