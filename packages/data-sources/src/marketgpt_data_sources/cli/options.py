"""What the commands of ``marketgpt data`` share: options, opening a source, tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from marketgpt_core.interval import Interval
    from marketgpt_data_sources.base import DataSource

source_option = click.option(
    "--source", required=True, metavar="S", help="name or name:location, as in 'data list'."
)
symbols_option = click.option("--symbols", metavar="A,B", help="Only these; left out: all the source lists.")
interval_option = click.option("--interval", default="1d", show_default=True, help="1m, 5m, 1h, 1d or 1w.")
option_option = click.option(
    "-o",
    "--option",
    "options",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the source; repeatable.",
)


def opened(source: str, options: Sequence[str]) -> DataSource:
    """Open the source of ``--source`` with the options of ``-o``."""
    from marketgpt_core.config import apply_overrides
    from marketgpt_data_sources.source import open_source

    return open_source(source, apply_overrides({}, options))


def wanted(place: DataSource, source: str, symbols: str | None, interval: Interval) -> Sequence[str]:
    """Return the symbols of ``--symbols``, or all the source lists.

    Raises:
        DataError: for what is not a symbol.
    """
    from marketgpt_core.symbols import check_symbol
    from marketgpt_data_sources.source import all_symbols

    if symbols is None:
        return all_symbols(place, source, interval)
    named = [check_symbol(part.strip(), where="--symbols") for part in symbols.split(",") if part.strip()]
    if not named:
        raise click.BadParameter("name at least one symbol, for example AAPL,MSFT", param_hint="--symbols")
    return named


def interval_of(text: str) -> Interval:
    """Return the interval of ``--interval``."""
    from marketgpt_core.interval import Interval

    return Interval.parse(text)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows of equal keys as aligned columns under their names."""
    if not rows:
        click.echo("no candles")
        return
    texts = [{name: name for name in rows[0]}, *({k: str(v) for k, v in row.items()} for row in rows)]
    widths = {name: max(len(text[name]) for text in texts) for name in rows[0]}
    for text in texts:
        click.echo("  ".join(text[name].ljust(width) for name, width in widths.items()).rstrip())
