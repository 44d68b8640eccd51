"""``marketgpt data status``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_data_sources.cli.options import interval_of, print_table

if TYPE_CHECKING:
    from marketgpt_core.interval import Interval
    from marketgpt_data_sources.store.status import SymbolStatus
    from marketgpt_data_sources.store.store import Store

store_option = click.option(
    "--store",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The store; left out: $MARKETGPT_STORE, else marketgpt-data here.",
)


@click.command(short_help="How fresh and complete the store is.")
@store_option
@click.option("--source", metavar="NAME", help="Only candles of this source.")
@click.option("--interval", metavar="I", help="Only candles of this length.")
@json_option
def status(folder: Path | None, source: str | None, interval: str | None, *, as_json: bool) -> None:
    """Show each stored symbol: its range, the sessions it is behind and lacks, failures, quarantined rows.

    'behind' counts the sessions (weeks at 1w) that have ended since the last candle, 'gaps' those without any
    before it, both by the trading calendar of the symbol's exchange.
    """
    from marketgpt_data_sources.store.status import status_of

    store = opened_store(folder)
    shelves = _chosen(store, source, interval_of(interval) if interval else None)
    found = [
        (name, length, status_of(store, name, length, now=store.clock.now())) for name, length in shelves
    ]
    if as_json:
        print_json({"store": str(store.root), "shelves": [_shelf(store, *one) for one in found]})
        return
    if not found:
        at = f" at {interval}" if interval else ""
        click.echo(f"nothing is stored in {store.root}{at}")
    for name, length, symbols in found:
        click.echo(f"{name} at {length} in {store.root}")
        print_table([_row(one) for one in symbols])
        for one in symbols:
            if one.failure is not None:
                click.echo(f"{one.symbol}: {one.failure.reason}: {one.failure.message}")
        click.echo(_summary(symbols))


def opened_store(folder: Path | None) -> Store:
    """Return the store of ``--store``.

    Raises:
        ConfigError: when there is none.
    """
    from marketgpt_core.errors import ConfigError
    from marketgpt_data_sources.store import Store, store_folder

    root = folder or store_folder()
    if not root.is_dir():
        raise ConfigError(
            f"there is no store at {root}: fill it with 'marketgpt data fetch', or give --store DIR"
        )
    return Store(root)


def _chosen(store: Store, source: str | None, interval: Interval | None) -> list[tuple[str, Interval]]:
    from marketgpt_core.errors import ConfigError, hint

    known = store.sources()
    if source is not None and source not in known:
        raise ConfigError(f"no source {source!r} in the store at {store.root}; {hint(source, known)}")
    return [
        (name, length)
        for name, lengths in known.items()
        for length in lengths
        if source in {None, name} and interval in {None, length}
    ]


def _row(one: SymbolStatus) -> dict[str, Any]:
    from marketgpt_core.times import iso

    entry = one.entry
    return {
        "symbol": one.symbol,
        "category": "" if entry is None else str(entry.category),
        "candles": 0 if entry is None else entry.rows,
        "first": "" if entry is None else iso(entry.first),
        "last": "" if entry is None else iso(entry.last),
        "checked": "" if entry is None else f"{entry.checked_at:%Y-%m-%dT%H:%MZ}",
        "behind": "" if one.behind is None else one.behind,
        "gaps": "" if one.gaps is None else one.gaps,
        "quarantined": one.quarantined_rows,
        "failed": "" if one.failure is None else str(one.failure.reason),
    }


def _counts(symbols: list[SymbolStatus]) -> dict[str, int]:
    stored = [one for one in symbols if one.entry is not None]
    return {
        "symbols": len(stored),
        "candles": sum(one.entry.rows for one in stored if one.entry is not None),
        "fresh": sum(one.behind == 0 for one in stored),
        "stale": sum(one.behind != 0 for one in stored),
        "missing_sessions": sum(one.gaps or 0 for one in stored),
        "failed": sum(one.failure is not None for one in symbols),
        "quarantined_rows": sum(one.quarantined_rows for one in symbols),
    }


def _summary(symbols: list[SymbolStatus]) -> str:
    text = (
        "{symbols:,} symbols, {candles:,} candles: {fresh:,} fresh, {stale:,} stale, "
        "{missing_sessions:,} sessions missing; {failed:,} failed, {quarantined_rows:,} rows quarantined"
    )
    return text.format(**_counts(symbols))


def _shelf(store: Store, source: str, interval: Interval, symbols: list[SymbolStatus]) -> dict[str, Any]:
    return {
        "source": source,
        "interval": str(interval),
        "fingerprint": store.fingerprint(source, interval),
        **_counts(symbols),
        "by_symbol": [_detail(one) for one in symbols],
    }


def _detail(one: SymbolStatus) -> dict[str, Any]:
    row = {name: None if value == "" else value for name, value in _row(one).items()}
    entry, failure = one.entry, one.failure
    row["checked"] = None if entry is None else entry.checked_at.isoformat()
    row["since"] = None if entry is None or entry.since is None else entry.since.isoformat()
    row["sha256"] = None if entry is None else entry.sha256
    if failure is not None:
        row["failed"] = {
            "reason": str(failure.reason),
            "message": failure.message,
            "at": failure.at.isoformat(),
        }
    return row
