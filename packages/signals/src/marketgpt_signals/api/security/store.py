"""API keys in the ledger's database."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import Select, insert, or_, select, update

from marketgpt_core.errors import ConfigError, DataError
from marketgpt_signals.api.security.keys import ApiKey, Scope, digest, key_text, new_secret
from marketgpt_signals.database import Database
from marketgpt_signals.records import plain
from marketgpt_signals.schema import api_keys

_MOST_NAME = 100


class KeyStore:
    """The keys of a ledger.

    Args:
        database: Of the ledger.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(
        self, name: str, scopes: Collection[Scope], now: datetime, expires_at: datetime | None = None
    ) -> tuple[ApiKey, str]:
        """Write a new key down.

        Returns:
            (key, the text its holder sends, which nothing can show again).

        Raises:
            ConfigError: for a name, scopes or an expiry that make no sense.
        """
        if not 1 <= len(name) <= _MOST_NAME or not name.isprintable() or name != name.strip():
            raise ConfigError(f"name {name[:40]!r} of a key: 1 to {_MOST_NAME} printable characters")
        if not scopes:
            raise ConfigError(f"a key needs a scope: {', '.join(Scope)}")
        if expires_at is not None and expires_at <= now:
            raise ConfigError(f"a key cannot expire at {expires_at:%Y-%m-%d %H:%M} UTC, which has passed")
        key_id, secret = new_secret()
        key = ApiKey(key_id, name, digest(secret), frozenset(scopes), now, expires_at, None)
        row = {column: getattr(key, column) for column in ApiKey.__dataclass_fields__}
        with self._database.write() as connection:
            connection.execute(insert(api_keys).values(row | {"scopes": sorted(key.scopes)}))
        return key, key_text(key_id, secret)

    def revoke(self, key_id: str, now: datetime) -> ApiKey:
        """Take a key back for good; one taken back before stays as it is.

        Raises:
            DataError: when there is none of that id.
        """
        mine = api_keys.c.id == key_id
        with self._database.write() as connection:
            still = mine & api_keys.c.revoked_at.is_(None)
            connection.execute(update(api_keys).where(still).values(revoked_at=now))
        found = self._read(select(api_keys).where(mine))
        if not found:
            raise DataError(
                f"{self._database.name} has no key {key_id[:40]!r}; marketgpt keys list shows them"
            )
        return found[0]

    def all(self) -> list[ApiKey]:
        """Return every key there ever was, oldest first."""
        return self._read(select(api_keys).order_by(api_keys.c.seq))

    def active(self, now: datetime) -> list[ApiKey]:
        """Return the keys that are neither revoked nor expired."""
        lasting = or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > now)
        return self._read(select(api_keys).where(api_keys.c.revoked_at.is_(None), lasting))

    def _read(self, query: Select[tuple[object, ...]]) -> list[ApiKey]:
        with self._database.read() as connection:
            rows = [plain(row) for row in connection.execute(query).mappings()]
        return [
            ApiKey(**{name: row[name] for name in ApiKey.__dataclass_fields__} | {"scopes": _scopes(row)})
            for row in rows
        ]


def _scopes(row: dict[str, object]) -> frozenset[Scope]:
    # A later version may know more of them; here they allow nothing.
    said = row["scopes"]
    return frozenset(scope for scope in Scope if isinstance(said, list) and scope in said)
