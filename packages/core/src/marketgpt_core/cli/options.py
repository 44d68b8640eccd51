"""What commands share: ``--json``, printing it, and the console for progress."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Add ``--json``: the command then prints one JSON value on standard output and nothing else."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def print_json(value: object) -> None:
    """Print a JSON value."""
    click.echo(json.dumps(value, indent=2, default=str, allow_nan=False))


def progress_console() -> Console:
    """Return the console progress goes to: standard error, so that output can be piped."""
    from rich.console import Console

    return Console(stderr=True)
