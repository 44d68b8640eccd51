"""``marketgpt tokenizer``: fit one, look into one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from marketgpt_core.cli.options import json_option, print_json

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def tokenizer() -> None:
    """Fit a tokenizer on candles, or look into a fitted one."""


@tokenizer.command()
@click.argument("path", type=_FILE)
@click.option("--bins", "show_bins", is_flag=True, help="Show every bin.")
@json_option
def inspect(path: Path, *, show_bins: bool, as_json: bool) -> None:
    """Show the kind, vocabulary, bins and fingerprint of the tokenizer in PATH."""
    from marketgpt_core.tokens import load_tokenizer
    from marketgpt_tokenizer.base import Tokenizer

    loaded = load_tokenizer(path)
    # The registry gives subclasses of our base only; the core's protocol has no describe().
    described = loaded.describe() if isinstance(loaded, Tokenizer) else {}
    if as_json:
        print_json(described)
        return
    for key, value in described.items():
        if key != "channels":
            click.echo(f"{key}: {value}")
    for channel in described["channels"]:
        _show_channel(channel, show_bins=show_bins)


def _show_channel(channel: dict[str, Any], *, show_bins: bool) -> None:
    bins = channel.get("bins", [])
    click.echo(f"\n{channel['name']}: {channel['vocabulary']} tokens{_range(bins)}")
    if show_bins and bins:
        click.echo("token        from          to      median    mass")
    for one in bins if show_bins else []:
        ends = (_number(one[key]) for key in ("from", "to", "median"))
        click.echo(f"{one['token']:5d}  " + "  ".join(ends) + f"  {one['mass']:6.2%}")


def _range(bins: list[dict[str, Any]]) -> str:
    if not bins:
        return ""
    zero = sum(one["mass"] for one in bins if one["median"] == 0.0)
    return f", medians {bins[0]['median']:.3f} to {bins[-1]['median']:.3f} sigma, {zero:.2%} exactly zero"


def _number(value: float | None) -> str:
    return f"{'':>10}" if value is None else f"{value:10.4f}"


@tokenizer.command()
@click.option("--input", "source", type=_FILE, required=True, help="Candles: .csv or .parquet.")
@click.option("--out", type=_FILE, required=True, help="The tokenizer's file, JSON.")
@click.option("--kind", default="ohlc", show_default=True, help="Tokenizer to fit.")
@click.option("--symbol", help="Name of the only symbol of a file that carries none.")
@click.option("--interval", default="1d", show_default=True, help="Length of a candle: 1m 5m 1h 1d 1w.")
@click.option("--before", metavar="DATE", help="Use only candles before DATE: the training part.")
@click.argument("options", nargs=-1, metavar="[KEY=VALUE]...")
@json_option
def fit(
    *,
    source: Path,
    out: Path,
    kind: str,
    symbol: str | None,
    interval: str,
    before: str | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Fit a tokenizer on the candles of a file, with options such as body_bins=128."""
    from marketgpt_core.candles import Candles
    from marketgpt_core.config import apply_overrides
    from marketgpt_core.interval import Interval
    from marketgpt_tokenizer.registry import tokenizers

    unfitted = tokenizers().create(kind, apply_overrides({}, options), where="the command line")
    candles = Candles.from_frame(
        _read(source), interval=Interval.parse(interval), symbol=symbol, where=str(source)
    )
    fitted = unfitted.fit(candles.between(None, before))
    fitted.save(out)
    if as_json:
        print_json({"path": str(out), **fitted.describe()})
        return
    sizes = ", ".join(
        f"{name} {size}" for name, size in zip(fitted.channel_names, fitted.vocab_sizes, strict=True)
    )
    click.echo(f"wrote {out}: {kind} {fitted.fingerprint()[:12]}, tokens: {sizes}")


def _read(path: Path) -> Any:  # noqa: ANN401 - a pandas frame; pandas is not imported at start-up
    import pandas as pd

    from marketgpt_core.errors import DataError

    readers: dict[str, Callable[[Path], pd.DataFrame]] = {".csv": pd.read_csv, ".parquet": pd.read_parquet}
    if path.suffix not in readers:
        raise DataError(f"{path}: candles are read from .csv or .parquet")
    try:
        return readers[path.suffix](path)
    except ImportError as error:
        raise DataError(
            f"reading {path} needs pyarrow: pip install 'marketgpt-tokenizer[parquet]'"
        ) from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:  # pandas' parser errors, pyarrow's ArrowInvalid, bytes that are not UTF-8
        raise DataError(f"{path} cannot be read as candles: {error}") from error
