"""What ``marketgpt doctor`` asks of an installation.

Packages and plugins add checks through the entry-point group ``marketgpt.doctor``: each names a function
that returns an iterable of :class:`Check`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from marketgpt_core.plugins.discovery import entry_points_of

DOCTOR_GROUP = "marketgpt.doctor"


class Health(StrEnum):
    """Result of a check."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Check:
    """One line of the doctor's report.

    Attributes:
        topic: What was looked at: ``torch``, ``free disk``.
        health: ``ok``; ``warn``: works without it, less well; ``fail``: something will not work.
        found: What was found.
        mend: How to mend it; empty when there is nothing to mend.
    """

    topic: str
    health: Health
    found: str
    mend: str = ""


def examine() -> list[Check]:
    """Run every installed check; one that raises becomes a failing line."""
    results: list[Check] = []
    for point in sorted(entry_points_of(DOCTOR_GROUP), key=lambda p: (p.name != "core", p.name)):
        try:
            found: Iterable[Check] = point.load()()
            results += list(found)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - the doctor reports, whatever breaks
            reason = f"{type(error).__name__}: {error}"
            results.append(Check(f"checks of {point.name}", Health.FAIL, reason, "reinstall the package"))
    return results
