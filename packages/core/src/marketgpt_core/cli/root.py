"""The root group."""

from __future__ import annotations

import logging
import sys
from importlib.metadata import EntryPoint

import click

from marketgpt_core.distributions import name_and_version
from marketgpt_core.errors import MarketGPTError, PluginError, hint
from marketgpt_core.plugins.discovery import is_disabled, listed

COMMANDS_GROUP = "marketgpt.commands"
USER_ERROR = 2
# A group without a subcommand shows its help; click before 8.2 does so without an exception.
_NO_ARGUMENTS: tuple[type[Exception], ...] = tuple(
    filter(None, [getattr(click.exceptions, "NoArgsIsHelpError", None)])
)
# The order a newcomer walks; commands of plugins follow by name.
_ORDER = (
    "demo", "data", "tokenizer", "train", "evaluate", "models", "forecast", "signals", "backtest",
    "verify", "serve", "monitor", "plugins", "doctor",
)  # fmt: skip


class CommandGroup(click.Group):
    """Subcommands from the entry-point group ``marketgpt.commands``, imported when used."""

    def _points(self, ctx: click.Context) -> dict[str, EntryPoint]:
        # Once an invocation: reading the metadata of a large environment takes a while.
        if COMMANDS_GROUP not in ctx.meta:
            found = [pair for pair in reversed(listed(COMMANDS_GROUP)) if not is_disabled(pair[0])]
            ctx.meta[COMMANDS_GROUP] = {plugin.name: point for plugin, point in found}
        points: dict[str, EntryPoint] = ctx.meta[COMMANDS_GROUP]
        return points

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, in the order a newcomer walks."""
        rank = {name: position for position, name in enumerate(_ORDER)}
        return sorted(self._points(ctx), key=lambda name: (rank.get(name, len(rank)), name))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; a broken one becomes a command that says why."""
        point = self._points(ctx).get(cmd_name)
        if point is None:
            return None
        try:
            command = point.load()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a broken plugin must not break others' help
            return _broken(cmd_name, point, error)
        if not isinstance(command, click.Command):
            return _broken(cmd_name, point, TypeError(f"{point.value} is not a click command"))
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Resolve, with a hint for an unknown name."""
        name = args[0]
        points = self._points(ctx)
        if not name.startswith("-") and name not in points:
            raise click.UsageError(f"no such command {name!r}; {hint(name, points)}")
        return super().resolve_command(ctx, args)


def _broken(name: str, point: EntryPoint, error: BaseException) -> click.Command:
    dist = " ".join(name_and_version(point.dist) or ("unknown",))
    reason = f"command {name!r} of {dist} cannot be loaded: {type(error).__name__}: {error}"

    @click.command(
        name,
        help=reason,
        short_help=f"(broken) {reason}",
        context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
    )
    def command() -> None:
        raise PluginError(reason)

    return command


@click.group(cls=CommandGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error and debug messages.")
@click.version_option(package_name="marketgpt-core", prog_name="marketgpt")
def root(*, debug: bool) -> None:
    """Train your own GPT on candles and turn it into calibrated LONG/SHORT signals."""
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(message)s")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 a mistake of the user's, 130 interrupted."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    # --debug may stand anywhere: nobody wants to retype the front of a long command.
    arguments = (["--debug"] if debug else []) + [part for part in arguments if part != "--debug"]
    try:
        status = root.main(arguments, prog_name="marketgpt", standalone_mode=False)
    except MarketGPTError as error:
        if debug:
            raise
        _fail(str(error))
    except click.exceptions.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except click.ClickException as error:
        if isinstance(error, _NO_ARGUMENTS):
            error.show()
            sys.exit(USER_ERROR)
        _fail(error.format_message())
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    sys.exit(status if isinstance(status, int) else 0)


def _fail(message: str) -> None:
    click.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(USER_ERROR)
