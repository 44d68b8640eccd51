"""``marketgpt monitor``: check a ledger for deterioration, measure what a detector's settings mean."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_core.errors import ConfigError, hint

if TYPE_CHECKING:
    from marketgpt_monitoring.alerting import Delivery
    from marketgpt_monitoring.calibration import Delay
    from marketgpt_monitoring.check import MonitorReport, StreamReport

_COLOUR = {"ok": "green", "warn": "yellow", "alarm": "red"}
_SHIFTS_SD = (0.5, 1.0, 2.0)


@click.group()
def monitor() -> None:
    """Watch what signals came to."""


@monitor.command()
@click.option("--ledger", required=True, help="The ledger: a file or a database URL.")
@click.option("--detector", default="adwin", show_default=True, help="Drift detector.")
@click.option("--channel", "channels", multiple=True, help="Alert channel; may be given several times.")
@json_option
@click.argument("overrides", nargs=-1, metavar="[NAME.OPTION=VALUE]...")
def check(
    *, ledger: str, detector: str, channels: tuple[str, ...], overrides: tuple[str, ...], as_json: bool
) -> None:
    """Look for deterioration in the outcomes known by now, and alert the channels.

    Options of the detector, the channels and the check itself follow as NAME.OPTION=VALUE: adwin.delta=0.02
    log.path=alerts.jsonl check.stale_after_days=10. Exits with 1 on an alarm.
    """
    from marketgpt_core.clock import SystemClock
    from marketgpt_core.config import load_config
    from marketgpt_monitoring import check as checks
    from marketgpt_monitoring.alerting import alert_on
    from marketgpt_monitoring.readers import open_ledger
    from marketgpt_monitoring.registry import alert_channels, drift_detectors

    names = dict.fromkeys(channels)
    options = _options(overrides, (detector, *names, "check"))
    where = "command line"
    chosen = drift_detectors().create(detector, options.get(detector), where=where)
    targets = {name: alert_channels().create(name, options.get(name), where=where) for name in names}
    config = load_config(checks.CheckConfig, options.get("check", {}), where=where)
    report = checks.check(open_ledger(ledger), chosen, clock=SystemClock(), config=config)
    deliveries = alert_on(report, targets)
    if as_json:
        print_json(report.to_dict() | {"deliveries": [_delivery(one) for one in deliveries]})
    else:
        _print(report)
    for one in deliveries:
        if one.error:
            click.echo(f"alert not delivered by channel {one.channel}: {one.error}", err=True)
    sys.exit(1 if report.status is checks.Status.ALARM else 0)


@monitor.command()
@click.option("--detector", default="adwin", show_default=True, help="Drift detector.")
@click.option("--streams", "num_streams", default=200, show_default=True, type=click.IntRange(min=1))
@click.option("--points", "num_points", default=2_500, show_default=True, type=click.IntRange(min=100))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@json_option
@click.argument("overrides", nargs=-1, metavar="[NAME.OPTION=VALUE]...")
def calibrate(
    *, detector: str, num_streams: int, num_points: int, seed: int, overrides: tuple[str, ...], as_json: bool
) -> None:
    """Measure a detector by simulation: false alarms without a change, delay after one.

    Options of the detector follow as NAME.OPTION=VALUE: adwin.delta=0.02.
    """
    from dataclasses import asdict

    from marketgpt_monitoring.calibration import detection_delay, false_alarms
    from marketgpt_monitoring.registry import drift_detectors

    options = _options(overrides, (detector,))
    registry = drift_detectors()
    registry.create(detector, options.get(detector), where="command line")

    def create() -> Any:  # noqa: ANN401 - whichever detector was asked for
        return registry.create(detector, options.get(detector))

    alarms = false_alarms(create, num_streams=num_streams, num_points=num_points, seed=seed)
    delays = [detection_delay(create, shift, num_streams=num_streams, seed=seed) for shift in _SHIFTS_SD]
    if as_json:
        print_json(
            {
                "detector": detector,
                "false_alarms_per_10_000": alarms.per_10_000,
                "num_points": alarms.num_points,
                "delays": [asdict(delay) for delay in delays],
            }
        )
        return
    click.echo(
        f"{detector}: {alarms.per_10_000:.2f} false alarms per 10,000 points ({alarms.num_points} fed)"
    )
    for delay in delays:
        click.echo(_delay_line(delay))


def _delay_line(delay: Delay) -> str:
    def shown(value: int | None) -> str:
        return "missed" if value is None else f"{value} points"

    missed = f"{delay.num_missed} of {delay.num_streams} missed"
    return (
        f"shift of {delay.shift:g} sd: median delay {shown(delay.median)}, 90% {shown(delay.p90)}, {missed}"
    )


def _options(overrides: tuple[str, ...], sections: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    from marketgpt_core.config import apply_overrides

    options = apply_overrides({}, overrides)
    for name, values in options.items():
        if name not in sections or not isinstance(values, dict):
            write = "write NAME.OPTION=VALUE"
            raise ConfigError(f"no such option {name!r} (from command line): {write}; {hint(name, sections)}")
    return options


def _delivery(one: Delivery) -> dict[str, str]:
    return {"channel": one.channel, "key": one.alert.key, "error": one.error}


def _print(report: MonitorReport) -> None:
    for stream in report.streams:
        click.echo(_stream_line(stream))
    click.echo(report.text)


def _stream_line(stream: StreamReport) -> str:
    status = click.style(stream.status.ljust(5), fg=_COLOUR[stream.status])
    name = f"{stream.key.strategy}  {stream.key.horizon_bars} x {stream.key.interval}  {stream.key.model_id}"
    parts = [f"{stream.num_outcomes} outcomes"]
    if stream.brier is not None:
        parts.append(f"Brier {stream.brier:.4f}")
    if stream.hit_rate is not None and stream.base_rate_up is not None:
        hit = stream.hit_rate
        parts.append(f"hit {hit.value:.1%} ({hit.low:.1%} to {hit.high:.1%}; ups {stream.base_rate_up:.1%})")
    if stream.coverage is not None:
        cover = stream.coverage
        parts.append(f"90% band {cover.value:.1%} ({cover.low:.1%} to {cover.high:.1%})")
    return f"{status}  {name}  {', '.join(parts)}\n       {stream.text}"
