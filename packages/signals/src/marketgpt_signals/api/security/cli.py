"""``marketgpt keys``. Heavy imports happen inside the commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_signals.api.security.keys import ApiKey, Scope

if TYPE_CHECKING:
    from datetime import datetime

    from marketgpt_signals.api.security.store import KeyStore

_ledger_option = click.option("--ledger", "location", required=True, help="SQLite file, or a database URL.")


@contextmanager
def _opened(location: str) -> Iterator[tuple[KeyStore, datetime]]:
    from marketgpt_core.clock import SystemClock
    from marketgpt_signals.api.security.store import KeyStore
    from marketgpt_signals.ledger import Ledger

    with Ledger.open(location, must_exist=True) as ledger:
        yield KeyStore(ledger.database), SystemClock().now()


@click.group()
def keys() -> None:
    """Make, list and take back the keys of a ledger's REST API."""


@keys.command()
@click.argument("name")
@_ledger_option
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([str(one) for one in Scope]),
    help="What it may do; repeat it. Default: read.",
)
@click.option("--expires", metavar="AGE", help="Refuse it from then on: 12h, 90d, 52w. Default: never.")
@json_option
def create(name: str, *, location: str, scopes: tuple[str, ...], expires: str | None, as_json: bool) -> None:
    """Make a key and show it, once: of its secret only a hash is kept.

    NAME says whose it is. read: all that is only looked at; backtest: submit and cancel backtests; metrics:
    the counters of the server.
    """
    from marketgpt_signals.forecasts import parse_age

    age = None if expires is None else parse_age(expires, where="--expires")
    with _opened(location) as (store, now):
        until = None if age is None else now + age
        key, text = store.create(name, [Scope(one) for one in scopes or (Scope.READ,)], now, until)
    if as_json:
        print_json(key.to_json(now) | {"key": text})
        return
    click.echo(text)
    ends = "never expires" if until is None else f"expires {until:%Y-%m-%d %H:%M} UTC"
    click.echo(
        f"key {key.id} of {name}: {', '.join(sorted(key.scopes))}; {ends}. It is not shown again.", err=True
    )


@keys.command()
@click.argument("key_id", metavar="ID")
@_ledger_option
@json_option
def revoke(key_id: str, *, location: str, as_json: bool) -> None:
    """Take a key back for good; servers refuse it within two seconds."""
    with _opened(location) as (store, now):
        key = store.revoke(key_id, now)
    if as_json:
        print_json(key.to_json(now))
    else:
        click.echo(f"key {key.id} of {key.name} is revoked")


@keys.command("list")
@_ledger_option
@json_option
def list_(*, location: str, as_json: bool) -> None:
    """List every key there ever was, without its secret."""
    with _opened(location) as (store, now):
        found = store.all()
    if as_json:
        print_json([key.to_json(now) for key in found])
    elif not found:
        click.echo("there are no keys yet: marketgpt keys create", err=True)
    else:
        from marketgpt_signals.tables import print_table

        head = ("id", "name", "scopes", "created", "expires", "state")
        print_table([head, *(_cells(key, now) for key in found)])


def _cells(key: ApiKey, now: datetime) -> tuple[str, ...]:
    ends = "never" if key.expires_at is None else f"{key.expires_at:%Y-%m-%d %H:%M}"
    scopes = " ".join(sorted(key.scopes))
    return key.id, key.name, scopes, f"{key.created_at:%Y-%m-%d}", ends, key.state(now)
