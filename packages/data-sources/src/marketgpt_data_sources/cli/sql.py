"""``marketgpt data sql``."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marketgpt_core.cli.options import json_option
from marketgpt_data_sources.cli.options import print_table
from marketgpt_data_sources.cli.status import opened_store, store_option

if TYPE_CHECKING:
    import pandas as pd

    from marketgpt_data_sources.store.query import Query


@click.command(short_help="Ask the store a question in SQL.")
@click.argument("query")
@store_option
@click.option(
    "--limit",
    metavar="N",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    help="Rows of the table.",
)
@click.option("--csv", "as_csv", is_flag=True, help="Print all rows as CSV instead of a table.")
@json_option
def sql(query: str, folder: Path | None, limit: int, *, as_csv: bool, as_json: bool) -> None:
    r"""Print what one SELECT finds in the view 'candles'.

    Its columns are source, interval, symbol, category, time (UTC), open, high, low, close and volume. The
    query runs in DuckDB, can read nothing else and write nothing. --csv and --json print every row as it
    comes.

    \b
    marketgpt data sql "SELECT symbol, max(close) FROM candles GROUP BY symbol"
    """
    from marketgpt_data_sources.store.query import Query

    if as_csv and as_json:
        raise click.UsageError("--csv and --json: give one of them")
    with Query(opened_store(folder), query) as result:
        if as_csv:
            _print_csv(result)
        elif as_json:
            _print_json(result)
        else:
            _print_rows(result, limit)


def _print_csv(result: Query) -> None:
    for number, chunk in enumerate(result.chunks()):
        rows = _with_iso_times(chunk)
        click.echo(rows.to_csv(index=False, header=number == 0, lineterminator="\n"), nl=False)


def _print_json(result: Query) -> None:
    """Print an array of objects, a row a line, never holding more than a chunk of it."""
    between = "["
    for chunk in result.chunks():
        rows = _with_iso_times(chunk).to_dict("records")
        if rows:
            lines = ",\n".join(json.dumps(_plain(row)) for row in rows)
            click.echo(f"{between}\n{lines}", nl=False)
            between = ","
    click.echo("\n]" if between == "," else "[]")


def _with_iso_times(chunk: pd.DataFrame) -> pd.DataFrame:
    """Return a chunk whose moments are texts of one form, whatever the others in the column are."""
    times = chunk.select_dtypes(["datetime", "datetimetz"])
    return chunk.assign(**{str(name): times[name].dt.strftime("%Y-%m-%dT%H:%M:%SZ") for name in times})


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever SQL gives
    """Return a value as JSON has it: what is no number or missing as null, what it does not know as text."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if hasattr(value, "tolist"):  # an array
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, bool | int | str):
        return value
    text = str(value)
    return None if text in {"<NA>", "NaT"} else text


def _print_rows(result: Query, limit: int) -> None:
    import pandas as pd

    found: list[pd.DataFrame] = []
    for chunk in result.chunks():
        found.append(chunk)
        if sum(map(len, found)) > limit:
            break
    frame = pd.concat(found, ignore_index=True)
    if frame.empty:
        click.echo("no rows")
        return
    print_table(
        [
            {str(name): _text(value) for name, value in row.items()}
            for row in frame.head(limit).to_dict("records")
        ]
    )
    if len(frame) > limit:
        click.echo(f"the first {limit:,} rows; more with --limit, all with --csv or --json", err=True)


def _text(value: Any) -> str:  # noqa: ANN401 - whatever SQL gives
    import pandas as pd

    from marketgpt_core.times import iso

    return iso(value) if isinstance(value, pd.Timestamp) else str(value)
