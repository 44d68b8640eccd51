"""``marketgpt doctor``: is this installation fit for work, and how is it mended."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_core.doctor import Check, Health, examine


@click.command()
@json_option
def doctor(*, as_json: bool) -> None:
    """Check versions, accelerators, compilers, Slurm, database, plugins and disk; say how to mend them.

    Exits with 1 when something will not work.
    """
    results = examine()
    if as_json:
        print_json([asdict(check) for check in results])
    else:
        width = max(len(check.topic) for check in results)
        for check in results:
            click.echo(_line(check, width))
    sys.exit(1 if any(check.health is Health.FAIL for check in results) else 0)


def _line(check: Check, width: int) -> str:
    colour = {"ok": "green", "warn": "yellow", "fail": "red"}[check.health]
    mend = f"\n      {' ' * width}  to mend: {check.mend}" if check.mend else ""
    return f"{click.style(check.health.ljust(4), fg=colour)}  {check.topic.ljust(width)}  {check.found}{mend}"
