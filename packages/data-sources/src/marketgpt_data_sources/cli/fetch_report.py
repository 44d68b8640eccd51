"""What ``marketgpt data fetch`` says at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from marketgpt_core.errors import FetchReason
from marketgpt_data_sources.cli.options import print_table

if TYPE_CHECKING:
    from pathlib import Path

    from marketgpt_data_sources.download import DownloadReport, Outcome

_MOST_FAILURES_SHOWN = 20
_MOST_NAMED = 5
_MOST_CHARACTERS = 200
_NOT_TRIED = "not tried"
# Of each reason: what the user can do.
_ADVICE = {
    FetchReason.DELISTED: "look it up at the vendor: mistyped, renamed or gone; then mend the universe",
    FetchReason.EMPTY: "the vendor has no candle there: ask for an earlier --since, or leave the symbol out",
    FetchReason.THROTTLED: "wait a few minutes and run the command again, slower: -o requests_per_s=0.5",
    FetchReason.UNREACHABLE: "check the network (a proxy?), then run the command again: it goes on there",
    FetchReason.BAD_ANSWER: "run the command again later; if it stays so, the vendor's answers have changed",
    FetchReason.BAD_DATA: "look at the rows: marketgpt data verify; we set them aside and mend nothing",
    _NOT_TRIED: "run the command again: it goes on where it was",
}


def print_report(report: DownloadReport, *, folder: Path, fingerprint: str | None) -> None:
    """Print what is stored now, then what failed and what to do about it."""
    counts = ", ".join(f"{count} {status}" for status, count in report.counts().items() if count)
    click.echo(
        f"{len(report.outcomes):,} symbols in {report.seconds:.1f} s: {counts or 'nothing was asked for'}"
    )
    bad = report.total("rows_quarantined")
    aside = f", {bad:,} bad rows set aside (marketgpt data status shows them)" if bad else ""
    revised = report.total("rows_revised")
    again = f", {revised:,} revised" if revised else ""
    click.echo(
        f"{report.total('rows_added'):,} candles added{again}{aside}; {report.total('rows_total'):,} stored"
    )
    if fingerprint is not None:
        click.echo(f"fingerprint {fingerprint[:16]}; read them with --source store:{folder}")
    if report.failures:
        _print_failures(report)


def _print_failures(report: DownloadReport) -> None:
    failed = [one for one in report.failures if one.reason != _NOT_TRIED]
    if failed:
        click.echo(f"\n{len(failed):,} symbols failed:")
        shown = failed[:_MOST_FAILURES_SHOWN]
        print_table([{"symbol": one.symbol, "reason": one.reason, "said": _said(one)} for one in shown])
        if len(failed) > len(shown):
            click.echo(f"... and {len(failed) - len(shown):,} more; --json lists them all")
    # Hundreds may share one cause: it is told once.
    waiting: dict[str, list[str]] = {}
    for one in report.failures:
        if one.reason == _NOT_TRIED:
            waiting.setdefault(_said(one), []).append(one.symbol)
    for why, symbols in waiting.items():
        more = ", ..." if len(symbols) > _MOST_NAMED else ""
        click.echo(
            f"\n{len(symbols):,} symbols were not tried ({', '.join(symbols[:_MOST_NAMED])}{more}): {why}"
        )
    click.echo("\nwhat to do:")
    causes_first = sorted(report.reasons().items(), key=lambda item: item[0] == _NOT_TRIED)
    for reason, count in causes_first:
        click.echo(f"  {reason} ({count:,}): {_ADVICE.get(reason, 'run the command again')}")


def _said(outcome: Outcome) -> str:
    return outcome.message.removeprefix(f"{outcome.symbol}: ")[:_MOST_CHARACTERS]
