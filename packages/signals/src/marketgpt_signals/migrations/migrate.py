"""``marketgpt signals migrate``: bring a ledger to another revision, after a copy of it was put aside."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import Script, ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

from marketgpt_core.errors import hint
from marketgpt_core.files import atomic_path
from marketgpt_signals.database import Database
from marketgpt_signals.errors import LedgerError
from marketgpt_signals.schema import revision_table

BASE, NEWEST = "base", "head"


@dataclass(frozen=True)
class Migration:
    """What was done.

    Attributes:
        ledger: Path or URL of the ledger, without a password.
        before, after: Revisions; equal when there was nothing to do.
        backup: The copy of a SQLite file as it was before; None when nothing was done, and for a server.
    """

    ledger: str
    before: str
    after: str
    backup: Path | None


def migrate(location: str | Path, to: str = NEWEST, *, discard: bool = False) -> Migration:
    """Bring an existing ledger to a revision, up or down; everything happens or nothing.

    Nobody else can write meanwhile, and a SQLite file is copied first, to ``NAME.REVISION.backup`` beside it.

    Args:
        location: Path of a SQLite file, or an SQLAlchemy URL.
        to: A revision, ``head`` for the newest, ``base`` for no tables at all.
        discard: Allow a way down that throws away what the older tables cannot hold.

    Raises:
        LedgerError: for a place that is no ledger, an unknown revision, a way down that would lose rows, or a
            copy that cannot be written. The ledger is then as it was.
    """
    with closing(Database.connect(location, must_exist=True)) as database:
        scripts = _scripts()
        target = _revision(scripts, to)
        with database.write() as connection:
            before = database.revision(connection)
            if before is None:
                raise LedgerError(f"{database.name} is not a ledger: it is empty")
            if before not in {script.revision for script in scripts.walk_revisions()}:
                raise LedgerError(
                    f"the ledger {database.name} is at revision {before}, which this version does not know: "
                    f"update marketgpt-signals"
                )
            if before == target:
                return Migration(database.name, before, target, None)
            if _is_down(before, target) and not discard:
                _refuse_losses(connection, database.name, scripts, before, target)
            backup = None if database.path is None else _copy(database.path, before)
            _run(connection, before, target)
    return Migration(database.name, before, target, backup)


def head() -> str:
    """Return the newest revision."""
    return str(_scripts().get_current_head())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "marketgpt_signals:migrations")
    config.set_main_option("path_separator", "os")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _revision(scripts: ScriptDirectory, name: str) -> str:
    """Return the full name of a revision; ``base`` stays."""
    if name == BASE:
        return BASE
    names = [script.revision for script in scripts.walk_revisions()]
    if name == NEWEST:
        return str(scripts.get_current_head())
    if name not in names:
        raise LedgerError(f"there is no revision {name!r}; {hint(name, [*names, NEWEST, BASE])}")
    return name


def _is_down(before: str, target: str) -> bool:
    return target == BASE or target < before


def _way_down(scripts: ScriptDirectory, before: str, target: str) -> list[Script]:
    way = scripts.iterate_revisions(before, target)
    return [script for script in way if script.revision != target]


def _refuse_losses(
    connection: Connection, name: str, scripts: ScriptDirectory, before: str, target: str
) -> None:
    lost: dict[str, int] = {}
    for script in _way_down(scripts, before, target):
        lost |= script.module.losses(connection)
    told = ", ".join(f"{count} {what}" for what, count in lost.items() if count)
    if told:
        raise LedgerError(f"{name} at revision {target} could not hold {told}; --discard throws them away")


def _run(connection: Connection, before: str, target: str) -> None:
    config = _config()
    config.attributes["connection"] = connection
    try:
        # A ledger of before alembic says nothing yet of where it stands.
        command.stamp(config, before)
        (command.downgrade if _is_down(before, target) else command.upgrade)(config, target)
    except CommandError as error:
        raise LedgerError(f"cannot migrate to {target}: {error}") from error
    if target == BASE:
        revision_table.drop(connection)


def _copy(path: Path, revision: str) -> Path:
    """Copy a SQLite file as it is before what the caller's open transaction will write."""
    number, backup = 1, path.with_name(f"{path.name}.{revision}.backup")
    while backup.exists():
        number += 1
        backup = path.with_name(f"{path.name}.{revision}-{number}.backup")
    try:
        with (
            atomic_path(backup) as temporary,
            closing(sqlite3.connect(path)) as source,
            closing(sqlite3.connect(temporary)) as copy,
        ):
            source.backup(copy)
        shutil.copymode(path, backup)
    except (sqlite3.Error, OSError) as error:
        raise LedgerError(f"cannot copy {path} to {backup}, so it is left as it is: {error}") from error
    return backup
