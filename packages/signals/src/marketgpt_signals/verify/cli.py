"""``marketgpt verify``. Heavy imports happen inside the commands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from marketgpt_core.cli.options import json_option, print_json

if TYPE_CHECKING:
    from marketgpt_core.candles import Candles
    from marketgpt_core.forecast import Forecast, Forecaster
    from marketgpt_signals.base import SignalStrategy
    from marketgpt_signals.verify.checks import Check

F = TypeVar("F", bound=Callable[..., Any])
_FAILED = 1
_HORIZONS = (1, 5)
_NUM_SAMPLES = 20


@click.group()
def verify() -> None:
    """Check strategies and forecasters: no look ahead, enough history, the same again.

    Exit status 0 when everything passed, 1 when something did not.
    """


def _shared(command: F) -> F:
    options = (
        click.option(
            "--strategy", "names", multiple=True, help="Only this one; again for more. Default: all."
        ),
        click.option("--forecasts", "path", type=click.Path(path_type=Path), help="Default: simulated ones."),
        click.option(
            "--source", help="Candles: sample, parquet:DIR, ...; for simulated forecasts there are."
        ),
        click.option("--run", help="Instead of strategies, the forecaster of this run; needs --source."),
        click.option("--symbols", help="Of --run, comma separated: the candles it is given."),
        click.option("--as-of", multiple=True, metavar="DATE", help="Of --run; again for more."),
        click.option(
            "--last-dates", type=click.IntRange(2), default=60, show_default=True, help="Of forecasts."
        ),
        click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what changes."),
        click.argument("options", nargs=-1, metavar="[KEY=VALUE ...]"),
        json_option,
    )
    for option in reversed(options):
        command = option(command)
    return command


@verify.command()
@_shared
def lookahead(*, seed: int, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - see _shared
    """Change the future and demand the same signals.

    At some moments: data cut there; later forecasts reversed or shuffled; later candles x3, x1/3, shuffled,
    or not a number. KEY=VALUE sets options of the one strategy named.
    """
    from marketgpt_signals.verify.lookahead import check_forecaster_lookahead, check_lookahead

    if given["run"]:
        forecaster, candles, dates = _forecaster(given)
        checks = check_forecaster_lookahead(
            forecaster, candles, as_of=dates, horizons=_HORIZONS, num_samples=_NUM_SAMPLES, seed=seed
        )
    else:
        checks = _of_strategies(given, seed, partial(check_lookahead, seed=seed))
    _report(checks, as_json=as_json)


@verify.command()
@_shared
def warmup(*, seed: int, as_json: bool, **given: Any) -> None:  # noqa: ANN401 - see _shared
    """Shorten the history and find from which length on the newest signals stay what they are."""
    from marketgpt_signals.verify.warmup import check_forecaster_warmup, check_warmup

    if given["run"]:
        forecaster, candles, dates = _forecaster(given)
        options: dict[str, Any] = {"horizons": _HORIZONS, "num_samples": _NUM_SAMPLES, "seed": seed}
        checks = [check_forecaster_warmup(forecaster, candles, as_of=dates, **options)]
    else:
        checks = _of_strategies(given, seed, lambda *data: [check_warmup(*data)])
    _report(checks, as_json=as_json)


@verify.command()
@click.option("--ledger", "location", required=True, help="SQLite file, or a database URL.")
@click.option("--forecasts", "path", required=True, type=click.Path(path_type=Path), help="The snapshot.")
@click.option("--strategy", "name", default="threshold", show_default=True, help="Whose signals.")
@click.option("--source", help="Candles, for a strategy that reads them.")
@click.option("--calibration", type=click.Path(path_type=Path), help="As given to signals generate.")
@click.argument("options", nargs=-1, metavar="[KEY=VALUE ...]")
@json_option
def replay(
    location: str,
    *,
    path: Path,
    name: str,
    source: str | None,
    calibration: Path | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Make the ledger's signals again from the stored forecasts and demand the same.

    KEY=VALUE sets the options the strategy had.
    """
    from marketgpt_core.config import apply_overrides
    from marketgpt_signals.forecasts import read_forecasts
    from marketgpt_signals.generate import calibrated, candles_for
    from marketgpt_signals.ledger import Ledger
    from marketgpt_signals.registry import strategies
    from marketgpt_signals.verify.replay import check_replay

    strategy = strategies().create(name, apply_overrides({}, options), where=f"strategy {name}")
    with Ledger.open(location, must_exist=True) as ledger:
        said = ledger.signals()
    snapshot = [(one, candles_for(one, source)) for one in calibrated(read_forecasts(path), calibration)]
    _report(check_replay(said, strategy, snapshot), as_json=as_json)


def _strategies(given: dict[str, Any]) -> list[SignalStrategy]:
    from marketgpt_core.config import apply_overrides
    from marketgpt_core.errors import ConfigError
    from marketgpt_signals.registry import strategies

    names = given["names"] or tuple(strategies().names())
    if given["options"] and len(names) != 1:
        raise ConfigError("KEY=VALUE sets options of one strategy: name it with --strategy")
    values = apply_overrides({}, given["options"])
    return [strategies().create(name, values, where=f"strategy {name}") for name in names]


def _data(
    strategy: SignalStrategy, given: dict[str, Any], seed: int
) -> list[tuple[Forecast, Candles | None]]:
    import numpy as np

    from marketgpt_signals.forecasts import read_forecasts
    from marketgpt_signals.generate import candles_for
    from marketgpt_signals.verify.simulated import simulated

    if given["path"] is None:
        return [simulated(strategy.history_bars, horizons=strategy.config.horizons, seed=seed)]
    found: list[tuple[Forecast, Candles | None]] = []
    for forecast in read_forecasts(given["path"]):
        dates = np.unique(forecast.as_of)[-given["last_dates"] :]
        newest = forecast.rows(forecast.as_of >= dates[0])
        found.append((newest, candles_for(newest, given["source"])))
    return found


def _of_strategies(
    given: dict[str, Any],
    seed: int,
    check: Callable[[SignalStrategy, Forecast, Candles | None], list[Check]],
) -> list[Check]:
    from marketgpt_core.errors import MarketGPTError
    from marketgpt_signals.verify.checks import Check

    found: list[Check] = []
    for strategy in _strategies(given):
        for forecast, candles in _data(strategy, given, seed):
            try:
                found += check(strategy, forecast, candles)
            except MarketGPTError:
                raise
            except Exception as error:  # noqa: BLE001 - a strategy that breaks must not hide what others did
                failed = Check(strategy.name, "it runs")
                failed.differs(f"{type(error).__name__}: {error}")
                found.append(failed)
    return found


def _forecaster(given: dict[str, Any]) -> tuple[Forecaster, Candles, Sequence[Any]]:
    from marketgpt_core.errors import ConfigError
    from marketgpt_core.forecasters import open_forecaster
    from marketgpt_core.interval import Interval
    from marketgpt_core.symbols import check_symbol
    from marketgpt_signals.candle_source import fetch_candles

    if not (given["source"] and given["symbols"] and given["as_of"]):
        raise ConfigError("--run needs --source, --symbols and --as-of")
    forecaster = open_forecaster(given["run"])
    names = [check_symbol(name.strip(), where="--symbols") for name in given["symbols"].split(",")]
    return forecaster, fetch_candles(given["source"], names, Interval.DAY), given["as_of"]


def _report(checks: Sequence[Check], *, as_json: bool) -> None:
    from marketgpt_signals.tables import print_table

    failed = [check for check in checks if not check.passed]
    if as_json:
        print_json({"passed": not failed, "checks": [check.to_json() for check in checks]})
    else:
        rows: list[tuple[str, ...]] = [("subject", "check", "verdict", "compared", "different", "what")]
        rows += [
            (
                check.subject, check.name, "ok" if check.passed else "FAILED", str(check.num_compared),
                str(check.num_different), check.first or check.note,
            )
            for check in checks
        ]  # fmt: skip
        print_table(rows)
        click.echo(f"{len(checks) - len(failed)} of {len(checks)} checks passed")
    if failed:
        raise click.exceptions.Exit(_FAILED)
