"""``marketgpt signals bands``. Heavy imports happen inside the command."""

from __future__ import annotations

from pathlib import Path

import click

from marketgpt_core.cli.options import json_option, print_json


@click.command()
@click.option("--source", required=True, help="Candles: sample, parquet:DIR, csv:DIR, ...")
@click.option("--symbols", required=True, help="Comma separated.")
@click.option("--forecasts", "path", type=click.Path(path_type=Path), help="Parquet: forecast bands, too.")
@click.option("--until", metavar="DATE", help="Only candles stamped up to this date.")
@click.option("--width", type=click.FloatRange(0.1, 10), default=2.0, show_default=True, help="Deviations.")
@click.option(
    "--probability", type=click.FloatRange(0.01, 0.99), default=0.95, show_default=True,
    help="Of the forecast bands.",
)  # fmt: skip
@click.option("--html", type=click.Path(path_type=Path), help="Draw the candles with their bands.")
@json_option
def bands(
    *,
    source: str,
    symbols: str,
    path: Path | None,
    until: str | None,
    width: float,
    probability: float,
    html: Path | None,
    as_json: bool,
) -> None:
    """Show Bollinger Bands of 1w, 2w, 1m and 2m on daily candles, and how often they held.

    Classical ones: the mean of so many closes and deviations around it, known at the close of their bar. With
    --forecasts also a model's: quantiles of the close so many bars later, known likewise.
    """
    from marketgpt_core.interval import Interval
    from marketgpt_core.symbols import check_symbol
    from marketgpt_signals.bands.sets import band_sets
    from marketgpt_signals.bands.table import print_bands
    from marketgpt_signals.candle_source import fetch_candles
    from marketgpt_signals.forecasts import one_forecast

    names = [check_symbol(name.strip(), where="--symbols") for name in symbols.split(",")]
    candles = fetch_candles(source, names, Interval.DAY)
    if until is not None:
        candles = candles.until(until)
    forecast = None if path is None else one_forecast(path)
    found = [
        (series, band_sets(series, forecast, width=width, probability=probability))
        for series in candles.values()
    ]
    if html is not None:
        from marketgpt_signals.bands.figure import write_page

        write_page(html, found)
    if as_json:
        print_json([one.to_json(series) for series, sets in found for one in sets])
        return
    print_bands(found)
    if html is not None:
        click.echo(f"drawn in {html}")
