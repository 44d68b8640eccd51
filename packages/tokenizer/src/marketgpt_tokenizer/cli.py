"""``marketgpt tokenizer``: fit one, refit it to other candles, look into one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from marketgpt_core.cli.options import json_option, print_json

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles
    from marketgpt_tokenizer.base import Tokenizer

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def tokenizer() -> None:
    """Fit a tokenizer on candles, refit it to others, or look into one."""


@tokenizer.command()
@click.argument("path", type=_FILE)
@click.option("--bins", "show_bins", is_flag=True, help="Show every bin, and every edge of the targets.")
@json_option
def inspect(path: Path, *, show_bins: bool, as_json: bool) -> None:
    """Show kind, vocabulary, bins, targets and fingerprint of the tokenizer in PATH."""
    from marketgpt_core.tokens import load_tokenizer
    from marketgpt_tokenizer.base import Tokenizer

    loaded = load_tokenizer(path)
    # The registry gives subclasses of our base only; the core's protocol has no describe().
    described = loaded.describe() if isinstance(loaded, Tokenizer) else {}
    if as_json:
        print_json(described)
        return
    for key, value in described.items():
        if key not in {"channels", "targets"}:
            click.echo(f"{key}: {value}")
    for channel in described["channels"]:
        _show_channel(channel, show_bins=show_bins)
    for target in described.get("targets", []):
        _show_target(target, show_edges=show_bins)


def _show_channel(channel: dict[str, Any], *, show_bins: bool) -> None:
    bins = channel.get("bins", [])
    click.echo(f"\n{channel['name']}: {channel['vocabulary']} tokens{_range(bins)}")
    if show_bins and bins:
        click.echo("token        from          to      median    mass")
    for one in bins if show_bins else []:
        ends = (_number(one[key]) for key in ("from", "to", "median"))
        click.echo(f"{one['token']:5d}  " + "  ".join(ends) + f"  {one['mass']:6.2%}")


def _show_target(target: dict[str, Any], *, show_edges: bool) -> None:
    horizons = ", ".join(str(one["bars"]) for one in target["horizons"])
    click.echo(f"\ntarget {target['name']}: {target['classes']} classes after {horizons} bars")
    for one in target["horizons"] if show_edges else []:
        click.echo(f"{one['bars']:5d}  " + "  ".join(_number(edge) for edge in one["edges"]))


def _range(bins: list[dict[str, Any]]) -> str:
    if not bins:
        return ""
    zero = sum(one["mass"] for one in bins if one["median"] == 0.0)
    return f", medians {bins[0]['median']:.3f} to {bins[-1]['median']:.3f} sigma, {zero:.2%} exactly zero"


def _number(value: float | None) -> str:
    return f"{'':>10}" if value is None else f"{value:10.4f}"


def candle_options(command: F) -> F:
    """Add the options that say which candles of which file are meant."""
    options = (
        click.option("--input", "source", type=_FILE, required=True, help="Candles: .csv or .parquet."),
        click.option("--out", type=_FILE, required=True, help="The tokenizer's file, JSON."),
        click.option("--symbol", help="Name of the only symbol of a file that carries none."),
        click.option(
            "--interval", default="1d", show_default=True, help="Length of a candle: 1m 5m 1h 1d 1w."
        ),
        click.option("--from", "start", metavar="DATE", help="Use only candles from DATE on."),
        click.option("--before", metavar="DATE", help="Use only candles before DATE: of the training part."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@tokenizer.command()
@candle_options
@click.option(
    "--kind",
    default="ohlc",
    show_default=True,
    help="Tokenizer to fit: ohlc, multitask (with targets at horizons), or a plugin's.",
)
@click.argument("options", nargs=-1, metavar="[KEY=VALUE]...")
@json_option
def fit(
    *,
    source: Path,
    out: Path,
    kind: str,
    symbol: str | None,
    interval: str,
    start: str | None,
    before: str | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Fit a tokenizer on the candles of a file.

    Options of the tokenizer are written KEY=VALUE, such as body_bins=128, volume_bins=32 (a channel for the
    volume; 0, the default, is none) or, for multitask, horizons=[1,5,21]. More than 1,024 tokens in all put
    the arrays into a .safetensors file beside the JSON.
    """
    from marketgpt_core.config import apply_overrides
    from marketgpt_tokenizer.registry import tokenizers

    unfitted = tokenizers().create(kind, apply_overrides({}, options), where="the command line")
    fitted = unfitted.fit(_candles(source, symbol, interval, start, before))
    fitted.save(out)
    _report(fitted, out, as_json=as_json)


@tokenizer.command()
@click.argument("path", type=_FILE)
@candle_options
@click.option(
    "--laws-only",
    is_flag=True,
    help="Keep every edge, so that tokens keep their meaning; refit only the law inside each bin.",
)
@click.option(
    "--remap",
    "tables",
    type=_FILE,
    help="Also write what the new tokens are in the old ones, .safetensors: by channel mixing, push, shift.",
)
@json_option
def refit(
    path: Path,
    *,
    source: Path,
    out: Path,
    symbol: str | None,
    interval: str,
    start: str | None,
    before: str | None,
    laws_only: bool,
    tables: Path | None,
    as_json: bool,
) -> None:
    """Refit the tokenizer in PATH, of kind ohlc or multitask, to the candles of a file.

    Its options stay, and so do the classes of its targets.
    """
    from marketgpt_core.errors import DataError
    from marketgpt_core.tokens import load_tokenizer
    from marketgpt_tokenizer.ohlc import OHLCTokenizer
    from marketgpt_tokenizer.remap import refit_laws, remap, write_remap

    old = load_tokenizer(path)
    if not isinstance(old, OHLCTokenizer):
        raise DataError(f"{path} holds no tokenizer of the kind ohlc or multitask: it cannot be refitted")
    if tables is not None and tables.resolve() in {out.resolve(), out.with_suffix(".safetensors").resolve()}:
        raise DataError(f"--remap {tables} is where the tokenizer itself may go: give it another name")
    candles = _candles(source, symbol, interval, start, before)
    new = refit_laws(old, candles) if laws_only else old.refit(candles)
    remaps = remap(old, new)
    new.save(out)
    if tables is not None:
        write_remap(remaps, tables, old=old, new=new)
    _report(new, out, as_json=as_json)


def _candles(
    source: Path, symbol: str | None, interval: str, start: str | None, before: str | None
) -> Candles:
    from marketgpt_core.candles import Candles
    from marketgpt_core.interval import Interval

    candles = Candles.from_frame(
        _read(source), interval=Interval.parse(interval), symbol=symbol, where=str(source)
    )
    return candles.between(start, before)


def _report(fitted: Tokenizer, out: Path, *, as_json: bool) -> None:
    if as_json:
        print_json({"path": str(out), **fitted.describe()})
        return
    sizes = ", ".join(
        f"{name} {size}" for name, size in zip(fitted.channel_names, fitted.vocab_sizes, strict=True)
    )
    click.echo(f"wrote {out}: {fitted.kind} {fitted.fingerprint()[:12]}, tokens: {sizes}")


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
