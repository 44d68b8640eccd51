"""``marketgpt plugins``: what is installed, what is broken and why."""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from importlib.metadata import EntryPoint

import click

from marketgpt_core.cli.options import json_option, print_json
from marketgpt_core.plugins.discovery import Plugin, is_disabled, listed
from marketgpt_core.plugins.registry import Registry, registries, registry


def _rows() -> list[dict[str, str]]:
    rows: list[dict[str, str]] = []
    failed: dict[tuple[str, str], Plugin] = {}
    for kind, one in registries().items():
        for name in one.names():
            plugin = one.provider(name)
            rows.append(_row(kind, name, plugin))
        failed |= {(p.group, p.key): p for p in one.group.plugins if p.status != "ok"}
    commands = [_command_row(plugin, point) for plugin, point in listed("marketgpt.commands")]
    broken = [_row(plugin.group, plugin.name, plugin) for plugin in failed.values()]
    return rows + commands + broken


def _command_row(plugin: Plugin, point: EntryPoint) -> dict[str, str]:
    if is_disabled(plugin):
        return _row("command", plugin.name, replace(plugin, status="disabled"))
    try:
        point.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever it raises is what is reported
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        return _row("command", plugin.name, replace(plugin, status="broken", error=reason))
    return _row("command", plugin.name, replace(plugin, status="ok"))


def _row(kind: str, name: str, plugin: Plugin) -> dict[str, str]:
    return {
        "kind": kind,
        "name": name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "status": plugin.status,
        "error": plugin.error,
    }


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def plugins(context: click.Context, *, as_json: bool) -> None:
    """List the installed plugins; check one against its contract."""
    if context.invoked_subcommand is not None:
        return
    # The table itself says who is broken: no warning above it as well.
    logging.getLogger("marketgpt_core.plugins").setLevel(logging.ERROR)
    rows = _rows()
    if as_json:
        print_json(rows)
        return
    widths = {
        key: max(len(key), *(len(row[key]) for row in rows))
        for key in ("kind", "name", "distribution", "version")
    }
    for row in [{key: key for key in rows[0]} | {"error": ""}, *rows]:
        line = "  ".join(row[key].ljust(width) for key, width in widths.items())
        click.echo(f"{line}  {row['status']}" + (f": {row['error']}" if row["error"] else ""))


@plugins.command()
@click.argument("name")
@click.option("--kind", help="Its kind, when the name exists in several.")
def check(name: str, kind: str | None) -> None:
    """Run the conformance suite on the installed plugin NAME."""
    from marketgpt_core.conformance import run_conformance

    sys.exit(run_conformance(_find(name, kind).kind, name))


def _find(name: str, kind: str | None) -> Registry[object]:
    from marketgpt_core.errors import PluginError, hint

    if kind is not None:
        found = registry(kind)
        found.provider(name)
        return found
    homes = [one for one in registries().values() if name in one.names()]
    if len(homes) == 1:
        return homes[0]
    if homes:
        raise PluginError(f"{name!r} exists in {', '.join(one.kind for one in homes)}; say which with --kind")
    known = [known for one in registries().values() for known in one.names()]
    raise PluginError(f"no plugin provides {name!r}; {hint(name, known)}")
