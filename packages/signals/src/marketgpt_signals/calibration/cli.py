"""``marketgpt signals calibrate``. Heavy imports happen inside the command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from marketgpt_core.cli.options import json_option, print_json

if TYPE_CHECKING:
    from marketgpt_core.signal import Outcome, Signal


@click.command()
@click.option("--ledger", "location", required=True, help="SQLite file, or a database URL.")
@click.option("--out", "path", required=True, type=click.Path(path_type=Path), help="JSON to write.")
@click.option("--as-of", metavar="DATE", help="Only outcomes known by then. Default: now.")
@click.option("--model", help="Model id; needed when the ledger has several.")
@click.argument("options", nargs=-1, metavar="[KEY=VALUE ...]")
@json_option
def calibrate(
    location: str,
    path: Path,
    *,
    as_of: str | None,
    model: str | None,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Fit P(up) to what came of earlier signals, by market and horizon.

    Only outcomes already known go in. Printed is what it would have been worth: each date put right by
    curves fitted on what was known then. KEY=VALUE sets method=platt|beta|isotonic, min_samples, min_dates or
    shrinkage.
    """
    from marketgpt_core.clock import SystemClock
    from marketgpt_core.config import apply_overrides, load_config
    from marketgpt_core.times import to_datetime64
    from marketgpt_signals.calibration.calibrator import CalibrationConfig, fit
    from marketgpt_signals.calibration.samples import samples_of
    from marketgpt_signals.calibration.walk import compare, walk_forward
    from marketgpt_signals.ledger import Ledger

    config = load_config(CalibrationConfig, apply_overrides({}, options), where="KEY=VALUE")
    moment = to_datetime64(as_of if as_of is not None else SystemClock().now())
    with Ledger.open(location, must_exist=True) as ledger:
        chosen, pairs = _of_model(ledger.resolved(), model, location)
    samples = samples_of(pairs)
    samples = samples.rows(samples.known_at <= moment)
    made = fit(samples, until=moment, model_id=chosen, config=config)
    worth = compare(samples, walk_forward(samples, config))
    made.save(path)
    report = {
        "out": str(path),
        "fingerprint": made.fingerprint,
        "model_id": chosen,
        "until": made.until,
        "groups": [
            {name: value for name, value in vars(group).items() if name != "curve"} for group in made.groups
        ],
        "walk_forward": [one.to_json() for one in worth],
    }
    if as_json:
        print_json(report)
    else:
        _print(report)


def _of_model(
    pairs: list[tuple[Signal, Outcome]], model: str | None, location: str
) -> tuple[str, list[tuple[Signal, Outcome]]]:
    from marketgpt_core.errors import ConfigError, DataError
    from marketgpt_signals.calibration.calibrator import MARK

    # What was calibrated already says nothing of the forecast itself.
    plain = [pair for pair in pairs if MARK not in pair[0].model_id]
    models = sorted({signal.model_id for signal, _ in plain})
    if not models:
        raise DataError(f"{location} has no resolved signals to learn from: marketgpt signals resolve")
    if model is None and len(models) > 1:
        raise ConfigError(f"{location} has signals of {', '.join(models)}: choose one with --model")
    chosen = models[0] if model is None else model
    if chosen not in models:
        raise DataError(f"{location} has no resolved signals of {chosen}; there are {', '.join(models)}")
    return chosen, [pair for pair in plain if pair[0].model_id == chosen]


def _print(report: dict[str, Any]) -> None:
    from marketgpt_signals.tables import print_table

    click.echo(f"{report['out']}: {report['model_id']}, outcomes known by {report['until']}")
    rows: list[tuple[str, ...]] = [("market", "bars", "outcomes", "dates apart", "weight of the curve")]
    rows += [
        (
            one["market"],
            str(one["horizon"]),
            str(one["num_samples"]),
            str(one["num_dates"]),
            f"{one['weight']:.2f}",
        )
        for one in report["groups"]
    ]
    print_table(rows)
    if not report["walk_forward"]:
        click.echo("nothing could be judged out of sample: too few outcomes")
        return
    rows = [("out of sample", "bars", "judged", "ECE", "calibrated", "Brier", "calibrated", "gain [90%]")]
    for one in report["walk_forward"]:
        before, after, between = one["before"], one["after"], one["gain_interval"]
        told = "" if between is None else f" [{between[0]:+.4f}, {between[1]:+.4f}]"
        rows.append(
            (
                one["market"], str(one["horizon"]), str(one["num_samples"]), f"{before['ece']:.3f}",
                f"{after['ece']:.3f}", f"{before['brier']:.4f}", f"{after['brier']:.4f}",
                f"{one['brier_gain']:+.4f}{told}",
            )
        )  # fmt: skip
    print_table(rows)
