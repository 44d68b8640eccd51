"""``marketgpt data list``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_core.errors import MarketGPTError
from marketgpt_data_sources.cli.options import (
    interval_of,
    interval_option,
    opened,
    option_option,
    print_table,
    symbols_option,
    wanted,
)

if TYPE_CHECKING:
    from marketgpt_core.interval import Interval
    from marketgpt_core.plugins import Registry
    from marketgpt_core.universe import Universe
    from marketgpt_data_sources.base import DataSource


@click.command("list", short_help="List universes and sources, or what one of them holds.")
@click.option("--universe", metavar="NAME|FILE", help="List the instruments of this universe instead.")
@click.option("--source", metavar="S", help="List the symbols of this source instead.")
@symbols_option
@interval_option
@option_option
@json_option
def list_(
    universe: str | None,
    source: str | None,
    symbols: str | None,
    *,
    interval: str,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """List universes and sources; with --universe its instruments, with --source what it has of symbols."""
    if universe is not None and source is not None:
        raise click.UsageError("give --universe or --source, not both")
    if source is None and (symbols is not None or options):
        raise click.UsageError("--symbols and --option go with --source")
    if universe is not None:
        _list_universe(universe, as_json=as_json)
    elif source is not None:
        _list_source(source, symbols, interval, options, as_json=as_json)
    else:
        found = {"universes": _universes(), "sources": _sources()}
        if as_json:
            print_json(found)
            return
        print_table([_for_the_eye(row) for row in found["universes"]])
        click.echo()
        print_table(found["sources"])


def _list_universe(text: str, *, as_json: bool) -> None:
    from marketgpt_core.universe import open_universe

    one = open_universe(text)
    rows = [
        {
            "symbol": each.symbol,
            "category": str(each.category),
            "exchange": each.exchange,
            "currency": each.currency,
            "calendar": each.calendar,
        }
        for each in one.instruments
    ]
    if as_json:
        print_json({**_about(one), "notes": one.notes, "instruments": rows})
        return
    print_table(rows)
    drawn_up = f", drawn up on {one.as_of}" if one.as_of else ""
    benchmark = f", measured against {one.benchmark}" if one.benchmark else ""
    click.echo(f"{one.name}: {len(one)} instruments{benchmark}{drawn_up}", err=True)
    if one.notes:
        click.echo(one.notes, err=True)


def _list_source(
    text: str, symbols: str | None, interval: str, options: tuple[str, ...], *, as_json: bool
) -> None:
    place, length = opened(text, options), interval_of(interval)
    names = wanted(place, text, symbols, length)
    rows = _summaries(place, text, names, length)
    others = _other_intervals(place, length)
    if as_json:
        print_json(rows)
        return
    print_table(rows)
    if others:
        click.echo(f"also at {', '.join(others)}: --interval {others[0]}", err=True)


def _summaries(
    place: DataSource, text: str, names: Iterable[str], interval: Interval
) -> list[dict[str, Any]]:
    from marketgpt_core.times import iso
    from marketgpt_data_sources.base import SymbolSummary, check_known

    known = place.summary(interval)
    if known is None:
        candles = place.fetch(list(names), interval=interval)
        known = {
            symbol: SymbolSummary(one.category, len(one), one.time[0], one.time[-1])
            for symbol, one in candles.items()
        }
        names = candles
    return [
        {
            "symbol": symbol,
            "category": str(known[symbol].category),
            "interval": str(interval),
            "first": iso(known[symbol].first),
            "last": iso(known[symbol].last),
            "candles": known[symbol].candles,
        }
        for symbol in check_known(list(names), list(known), where=text)
    ]


def _other_intervals(opened: DataSource, shown: Interval) -> list[str]:
    return [str(one) for one in type(shown) if one is not shown and opened.symbols(one)]


def _about(universe: Universe) -> dict[str, Any]:
    return {
        "universe": universe.name,
        "symbols": len(universe),
        "markets": dict(Counter(str(one.category) for one in universe.instruments)),
        "benchmark": universe.benchmark,
        "as_of": None if universe.as_of is None else universe.as_of.isoformat(),
        "about": universe.about,
    }


def _for_the_eye(row: dict[str, Any]) -> dict[str, Any]:
    markets = ", ".join(f"{name} {count}" for name, count in (row["markets"] or {}).items())
    shown = {**row, "markets": markets}
    del shown["as_of"]  # --universe says it
    return {key: "" if value is None else value for key, value in shown.items()}


def _universes() -> list[dict[str, Any]]:
    from marketgpt_data_sources.registry import universes

    def row(name: str) -> dict[str, Any]:
        if name == "file":
            return {**empty, "universe": "FILE.toml", "about": _first_line(universes().load(name))}
        return {**_about(universes().create(name).universe()), "universe": name}

    empty = dict.fromkeys(("universe", "symbols", "markets", "benchmark", "as_of"))
    return _rows(universes(), row, lambda name, about: {**empty, "universe": name, "about": about})


def _sources() -> list[dict[str, Any]]:
    from marketgpt_data_sources.registry import data_sources

    def row(name: str) -> dict[str, Any]:
        cls = data_sources().load(name)
        written = f"{name}:{cls.location_hint}" if cls.location_field else name
        return {"source": written, "about": _first_line(cls)}

    return _rows(data_sources(), row, lambda name, about: {"source": name, "about": about})


def _rows(
    registry: Registry[Any],
    row: Callable[[str], dict[str, Any]],
    broken: Callable[[str, str], dict[str, Any]],
) -> list[dict[str, Any]]:
    """Return a row for each name, with its distribution; one that cannot be used does not hide the others."""
    rows = []
    for name in registry.names():
        plugin = registry.provider(name)
        try:
            found = row(name)
        except Exception as error:  # noqa: BLE001 - whatever a plugin's code raises must not hide the others
            kind = "" if isinstance(error, MarketGPTError) else f"{type(error).__name__}: "
            found = broken(name, f"(broken) {kind}{' '.join(str(error).split())}")
        about = found.pop("about")
        rows.append({**found, "distribution": f"{plugin.distribution} {plugin.version}", "about": about})
    return rows


def _first_line(cls: type) -> str:
    return (cls.__doc__ or "").strip().partition("\n")[0]
