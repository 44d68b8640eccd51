"""``marketgpt data fetch``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_core.errors import ConfigError
from marketgpt_data_sources.cli.options import interval_of, interval_option, opened, option_option, wanted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from marketgpt_core.interval import Interval
    from marketgpt_core.universe import Universe
    from marketgpt_data_sources.base import DataSource
    from marketgpt_data_sources.download import DownloadReport
    from marketgpt_data_sources.store import Store

SOME_FAILED = 1
NOTHING_FETCHED = 3
INTERRUPTED = 130


@click.command(short_help="Fetch candles into the store, or bring it up to date.")
@click.argument("universe", required=False)
@click.option(
    "--symbols", metavar="A,B", help="Only these; left out: the universe's, or all the source lists."
)
@click.option(
    "--source",
    default="yfinance",
    show_default=True,
    metavar="S",
    help="name or name:location, as in 'data list'.",
)
@click.option("--since", metavar="DATE", help="First date, inclusive; left out: all there is.")
@click.option("--until", metavar="DATE", help="Last date, exclusive; left out: today.")
@interval_option
@click.option(
    "--store",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The store; left out: $MARKETGPT_STORE, else marketgpt-data here.",
)
@click.option(
    "--as",
    "shelf",
    metavar="NAME",
    help="Name of the source in the store; left out: its own, with the exchange of one that has several.",
)
@option_option
@click.option("--refresh", is_flag=True, help="Ask even for what the store already has.")
@click.option("--replace", is_flag=True, help="Accept a history that lacks stored candles.")
@click.option("--strict", is_flag=True, help="Refuse a symbol with bad rows instead of setting them aside.")
@json_option
def fetch(
    universe: str | None,
    symbols: str | None,
    source: str,
    since: str | None,
    until: str | None,
    *,
    interval: str,
    folder: Path | None,
    shelf: str | None,
    options: tuple[str, ...],
    refresh: bool,
    replace: bool,
    strict: bool,
    as_json: bool,
) -> None:
    """Fetch the candles of a UNIVERSE (a name of 'data list', or a TOML file) into the store.

    What is stored is only brought up to date. Run the command again after any interruption: it goes on
    where it was. Rows that cannot be are set aside with the reason, never mended.

    Exit status: 0 all is stored, 1 some symbols failed, 2 a mistake in the command, 3 nothing could be
    fetched, 130 interrupted.
    """
    from marketgpt_core.universe import open_universe
    from marketgpt_data_sources.cli.fetch_progress import progress, stop_on_signals
    from marketgpt_data_sources.cli.fetch_report import print_report
    from marketgpt_data_sources.download import DownloadConfig, download
    from marketgpt_data_sources.store import Store, store_folder
    from marketgpt_data_sources.store.layout import check_source_name

    length, place = interval_of(interval), opened(source, options)
    chosen = None if universe is None else open_universe(universe).with_benchmark()
    asked = _asked(chosen, symbols, place, source, length)
    name = name_in_store(source, place) if shelf is None else check_source_name(shelf)
    store = Store(folder or store_folder())
    with stop_on_signals() as stop, progress(len(asked), shown=not as_json) as show:
        report = download(
            place,
            name,
            store,
            asked,
            since=since,
            until=until,
            interval=length,
            config=DownloadConfig(refresh=refresh, replace=replace, strict=strict),
            calendars=None if chosen is None else chosen.calendars,
            categories=None if chosen is None else chosen.categories,
            on_outcome=show,
            stop=stop,
        )
    fingerprint = _fingerprint(store, name, length, report)
    if as_json:
        about = {"store": str(store.root), "source": name, "interval": str(length)}
        print_json({**about, "fingerprint": fingerprint, **report.to_dict()})
    else:
        print_report(report, folder=store.root, fingerprint=fingerprint)
    sys.exit(status_of(report))


def _asked(
    universe: Universe | None, symbols: str | None, place: DataSource, source: str, interval: Interval
) -> Sequence[str]:
    """Return the symbols a user means: a universe's, the named ones, or all there are."""
    from marketgpt_data_sources.base import check_known

    if universe is None:
        if symbols is None and not place.symbols(interval) and place.location_field is None:
            raise ConfigError(
                "what shall be fetched? name a universe of 'marketgpt data list', or --symbols AAPL,MSFT"
            )
        named, known = wanted(place, source, symbols, interval), place.symbols(interval)
        return check_known(named, known, where=source) if known else named
    if symbols is None:
        return universe.symbols
    named = wanted(place, source, symbols, interval)
    return check_known(named, universe.symbols, where=f"universe {universe.name}")


def name_in_store(source: str, place: DataSource) -> str:
    """Return a source's folder: two exchanges of one plugin are two vendors, two folders one collection."""
    from marketgpt_data_sources.pacing.network import NetworkSource

    name, _, location = source.partition(":")
    return f"{name}-{location}" if location and isinstance(place, NetworkSource) else name


def _fingerprint(store: Store, source: str, interval: Interval, report: DownloadReport) -> str | None:
    stored = [one.symbol for one in report.outcomes if one.rows_total]
    return store.read(source, stored, interval=interval).fingerprint() if stored else None


def status_of(report: DownloadReport) -> int:
    """Return the exit status that says how a download went."""
    if report.interrupted:
        return INTERRUPTED
    if report.is_complete:
        return 0
    return NOTHING_FETCHED if len(report.failures) == len(report.outcomes) else SOME_FAILED
