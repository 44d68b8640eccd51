"""API keys: what they look like, and what is kept of them.

The secret is 256 random bits, so nobody can try them out and a plain SHA-256 keeps it: slow hashes are for
passwords, which people choose, and would cost every request what they cost the guesser.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

_TEXT = re.compile(r"mgpt_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
# Of a text that is no key: as much is done for it as for one.
_NOBODY = "0" * 16, "A" * 43


class Scope(StrEnum):
    """What a key may do."""

    READ = "read"  # whatever is only looked at
    BACKTEST = "backtest"  # submit and cancel backtests
    METRICS = "metrics"  # the counters of the server


@dataclass(frozen=True)
class ApiKey:
    """A key as it is kept.

    Attributes:
        id: 16 hex digits, no secret.
        name: Whose it is.
        secret_sha256: Hex digest of the secret.
        scopes: What it may do.
        created_at: Aware, UTC.
        expires_at: From when on it is refused; None: never.
        revoked_at: When it was taken back; None: it was not.
    """

    id: str
    name: str
    secret_sha256: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None

    def state(self, now: datetime) -> str:
        """Return ``active``, ``expired`` or ``revoked``."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def to_json(self, now: datetime) -> dict[str, object]:
        """Return what may be shown of it."""
        return {
            "id": self.id,
            "name": self.name,
            "scopes": sorted(self.scopes),
            "state": self.state(now),
            "created_at": self.created_at,
            "expires_at": self.expires_at,
            "revoked_at": self.revoked_at,
        }


def new_secret() -> tuple[str, str]:
    """Return (id, secret) of a new key."""
    return secrets.token_hex(8), secrets.token_urlsafe(32)


def key_text(key_id: str, secret: str) -> str:
    """Return what its holder sends; the beginning tells scanners of repositories what it is."""
    return f"mgpt_{key_id}_{secret}"


def split_text(text: str) -> tuple[str, str]:
    """Return (id, secret) of what was sent; nobody's when it is no key."""
    match = _TEXT.fullmatch(text)
    return (match[1], match[2]) if match else _NOBODY


def digest(secret: str) -> str:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
