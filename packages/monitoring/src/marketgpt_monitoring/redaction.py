"""Keeping secrets out of logs."""

from __future__ import annotations

import re
from collections.abc import Mapping

REDACTED = "***"

_SECRET = re.compile(
    r"pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|cookie|authorization|auth|bearer"
    r"|(?:api|access|private|signing|encryption|secret)[_.\- ]?key|key",
    re.IGNORECASE,
)
# apiKey -> api Key, SMTPPassword -> SMTP Password: a word is a word however the name is written
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_USERINFO = re.compile(r"(?<=://)[^/@\s]+(?=@)")


def is_secret_name(name: str) -> bool:
    """Whether a name says that its value is a secret: ``api_key``, ``smtpPassword``, ``X-Auth-Token``.

    Whole words only: ``monkey`` and ``author`` are no secrets.
    """
    words = re.split(r"[^A-Za-z0-9]+", _CAMEL.sub(" ", name))
    joined = " ".join(words)
    return any(_SECRET.fullmatch(word) for word in words) or bool(
        re.search(rf"\b(?:{_SECRET.pattern})\b", joined, re.IGNORECASE)
    )


def redact_text(text: str) -> str:
    """Return the text with the user part of URLs hidden: ``https://***@host``."""
    return _USERINFO.sub(REDACTED, text)


def redact(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels with secrets hidden, recognised by their names and inside URLs."""
    return {
        name: REDACTED if is_secret_name(name) else redact_text(str(value)) for name, value in labels.items()
    }
