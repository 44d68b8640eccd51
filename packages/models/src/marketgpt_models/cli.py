"""``marketgpt models`` and ``marketgpt forecast``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marketgpt_core.cli.options import json_option, print_json, progress_console
from marketgpt_core.errors import ConfigError, DataError

if TYPE_CHECKING:
    import numpy as np

    from marketgpt_core.candles import Candles
    from marketgpt_core.forecast import Forecast

_FILE = click.Path(path_type=Path, dir_okay=False)
_HORIZONS = "1,5,10,21,42"
_MOST_SHOWN = 20


@click.command()
@json_option
def models(*, as_json: bool) -> None:
    """List the model variants with their size: at default options, and in the shape of each preset."""
    from marketgpt_models.listing import described, table
    from marketgpt_models.registry import models as variants

    rows = [described(name) for name in variants().names()]
    if as_json:
        print_json(rows)
        return
    for line in table(rows):
        click.echo(line)


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("symbols", nargs=-1, metavar="[SYMBOL]...")
@click.option("--source", required=True, help="Where candles come from: sample, yfinance, parquet:DIR ...")
@click.option("--horizons", default=_HORIZONS, show_default=True, help="Bars ahead, comma separated.")
@click.option("--as-of", help="Forecast from each symbol's last candle at this date. Default: its last.")
@click.option("--from", "start", help="First as-of date of a range.")
@click.option("--to", "end", help="First as-of date left out.")
@click.option("--every", type=click.IntRange(min=1), default=1, show_default=True, help="Sessions between.")
@click.option("--interval", default="1d", show_default=True, help="Length of a candle: 1m 5m 1h 1d 1w.")
@click.option("--samples", type=click.IntRange(1, 100_000), default=200, show_default=True, help="Paths.")
@click.option("--passes", type=click.IntRange(1, 256), help="Dropout passes, opinions. Default: 4.")
@click.option("--mix", type=click.Choice(["paths", "heads", "mixture"]), help="Default: mixture.")
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same forecast.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Table: .parquet or .csv.")
@json_option
def forecast(
    *,
    run: Path,
    symbols: tuple[str, ...],
    source: str,
    horizons: str,
    as_of: str | None,
    start: str | None,
    end: str | None,
    every: int,
    interval: str,
    samples: int,
    passes: int | None,
    mix: str | None,
    seed: int,
    out: Path | None,
    as_json: bool,
) -> None:
    """Forecast with the trained model in RUN: quantiles of log returns and the odds of a rise.

    Without dates it forecasts from each symbol's last candle; with --from and --to, from every session of
    the range. Nothing later than an as-of date is used for it.
    """
    from marketgpt_core.interval import Interval
    from marketgpt_models.forecaster import load_forecaster
    from marketgpt_models.sources import fetch_candles

    if as_of is not None and (start is not None or end is not None):
        raise ConfigError("give either --as-of or --from and --to, not both")
    if out is not None and out.suffix not in {".parquet", ".csv"}:
        raise ConfigError(f"--out {out}: write a .parquet or .csv file")
    steps = _integers(horizons, "--horizons")
    chosen = {"num_passes": passes, "mix": mix}
    forecaster = load_forecaster(run, **{key: value for key, value in chosen.items() if value is not None})
    candles = fetch_candles(
        source,
        symbols,
        interval=Interval.parse(interval),
        end=end,
        whole_market=getattr(forecaster, "reads_market", False),
    )
    for line in forecaster.caveats(candles, symbols or None) if hasattr(forecaster, "caveats") else ():
        progress_console().print(f"note: {line}", highlight=False, markup=False)
    moments = as_of_moments(candles, as_of=as_of, start=start, end=end, every=every)
    made = forecaster.forecast(
        candles, horizons=steps, as_of=moments, symbols=symbols or None, num_samples=samples, seed=seed
    )
    if start is not None:
        made = _from(made, start)
    if out is not None:
        write_table(made, out)
    _report(made, out, as_json=as_json)


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="RUN...", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="New folder.")
@json_option
def ensemble(*, runs: tuple[Path, ...], out: Path, as_json: bool) -> None:
    """Put trained RUNs, usually of different seeds, into one that forecasts as their mixture.

    The new folder holds copies: forecast and evaluate take it like any run. Disagreement between the runs
    becomes epistemic spread.
    """
    from marketgpt_models.ensemble import make_ensemble

    made = make_ensemble(runs, out)
    if as_json:
        print_json({"run": str(out), "model_id": f"ensemble-{made.id}", "members": len(runs)})
        return
    click.echo(f"wrote {out}: an ensemble of {len(runs)} runs, ensemble-{made.id}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--tokenizer", required=True, type=_FILE, help="The new tokenizer, of `tokenizer refit`.")
@click.option("--tables", required=True, type=_FILE, help="What `tokenizer refit --remap` wrote beside it.")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="New folder.")
@json_option
def remap(*, run: Path, tokenizer: Path, tables: Path, out: Path, as_json: bool) -> None:
    """Give the trained model in RUN the tokens of a refitted tokenizer.

    Rows of its embeddings and outputs are mixed as the tables say; nothing is trained. Spreads put right on
    validation are left out, as the model they were fitted on was another.
    """
    from marketgpt_models.remapped import remap_run

    made = remap_run(run, tokenizer=tokenizer, tables=tables, out=out)
    if as_json:
        print_json({"run": str(out), "id": made.id, "remapped_from": made.manifest["remapped_from"]})
        return
    click.echo(f"wrote {out}: run {made.id}, remapped from {made.manifest['remapped_from']}")


def _integers(text: str, where: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise ConfigError(
            f"{where} {text!r}: write bars ahead, comma separated, for example 1,5,21"
        ) from None


def as_of_moments(
    candles: Candles, *, as_of: str | None, start: str | None, end: str | None, every: int
) -> list[np.datetime64] | None:
    """Return the as-of moments, or None for each symbol's last candle.

    A range means every ``every``-th stamp, of all symbols together, with start <= stamp < end.

    Raises:
        ConfigError: for a text that is not a date.
        DataError: when no candle lies in the range.
    """
    import numpy as np

    from marketgpt_core.times import to_datetime64

    if as_of is not None:
        return [to_datetime64(as_of)]
    if start is None and end is None:
        return None
    chosen = [one.time for one in candles.between(start, end).values()]
    if not chosen:
        raise DataError(f"no candle from {start or 'the beginning'} to before {end or 'the end'}")
    return list(np.unique(np.concatenate(chosen))[::every])


def _from(made: Forecast, start: str) -> Forecast:
    """Drop rows whose last candle is older than the range: that symbol had ended before."""
    from marketgpt_core.times import to_datetime64

    inside = made.as_of >= to_datetime64(start)
    if not inside.any():
        raise DataError(f"no symbol has a candle and enough history at or after {start}")
    return made.rows(inside)


def write_table(made: Forecast, out: Path) -> None:
    """Write ``Forecast.to_frame()`` as .parquet or .csv, atomically.

    Raises:
        DataError: when pyarrow is missing for .parquet.
    """
    from marketgpt_core.files import atomic_path

    frame = made.to_frame()
    with atomic_path(out) as temporary:
        if out.suffix == ".csv":
            frame.to_csv(temporary, index=False)
            return
        try:
            frame.to_parquet(temporary, index=False)
        except ImportError as error:
            raise DataError(
                f"writing {out} needs pyarrow: pip install 'marketgpt-models[parquet]', or write .csv"
            ) from error


def _report(made: Forecast, out: Path | None, *, as_json: bool) -> None:
    rows = _rows(made, range(len(made)) if as_json else range(min(len(made), _MOST_SHOWN)))
    if as_json:
        print_json({"model_id": made.model_id, "out": out and str(out), "forecasts": rows})
        return
    click.echo("symbol        as of       bars   p(up)      5%     50%     95%  epistemic")
    for row in rows:
        click.echo(
            f"{row['symbol']:<12}  {row['as_of'][:10]}  {row['horizon']:>4}  {row['p_up']:6.1%}"
            f"  {row['q050']:+6.2%}  {row['q500']:+6.2%}  {row['q950']:+6.2%}  {row['epistemic']:8.3%}"
        )
    console = progress_console()
    if len(made) > _MOST_SHOWN:
        console.print(f"... {len(made)} rows of {len(made.horizons)} horizons in all", highlight=False)
    if out is not None:
        console.print(f"wrote {out}: {made.model_id}", highlight=False)


def _rows(made: Forecast, index: Sequence[int]) -> list[dict[str, Any]]:
    from marketgpt_core.times import iso

    quantiles = {"q050": made.quantile(0.05), "q500": made.quantile(0.5), "q950": made.quantile(0.95)}
    return [
        {
            "symbol": made.symbols[i],
            "as_of": iso(made.as_of[i]),
            "horizon": int(horizon),
            "p_up": float(made.p_up[i, h]),
            **{name: float(values[i, h]) for name, values in quantiles.items()},
            "aleatoric": float(made.aleatoric[i, h]),
            "epistemic": float(made.epistemic[i, h]),
        }
        for i in index
        for h, horizon in enumerate(made.horizons)
    ]
