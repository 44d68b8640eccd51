"""Bands as text for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

import click

from marketgpt_core.candles import CandleSeries
from marketgpt_signals.bands.coverage import Coverage
from marketgpt_signals.bands.sets import BandSet
from marketgpt_signals.tables import print_table

_HEAD = (
    "symbol", "bands", "bars", "known at the close of", "close", "lower", "middle", "upper",
    "next close inside", "close at the horizon inside [90%]", "promised",
)  # fmt: skip


def print_bands(found: Sequence[tuple[CandleSeries, Sequence[BandSet]]]) -> None:
    """Print the newest bands of each set and how often the set held."""
    print_table([_HEAD, *(_cells(series, one) for series, sets in found for one in sets)])
    click.echo(
        "a band is judged by closes that came after it was known; classical bands promise nothing "
        "(2 deviations hold 95.4% of a normal law, at least 75% of any)"
    )


def _cells(series: CandleSeries, one: BandSet) -> tuple[str, ...]:
    newest = one.to_json(series)["newest"]
    known = ("-",) * 5
    if newest is not None:
        prices = (f"{newest[name]:.6g}" for name in ("close", "lower", "middle", "upper"))
        known = (newest["known_at_the_close_of"], *prices)
    promised = "-" if one.nominal is None else f"{one.nominal:.0%}"
    held = (_share(one.next_close), _share(one.at_horizon), promised)
    return (series.symbol, f"{one.kind} {one.name}", str(one.bars), *known, *held)


def _share(held: Coverage | None) -> str:
    if held is None or held.share is None:
        return "-"
    between = "" if held.interval is None else f" [{held.interval[0]:.1%}, {held.interval[1]:.1%}]"
    return f"{held.share:.1%}{between} of {held.num}"
