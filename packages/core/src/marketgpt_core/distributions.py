"""Who an installed distribution is, also when pip was interrupted."""

from __future__ import annotations

from importlib.metadata import Distribution


def name_and_version(distribution: Distribution | None) -> tuple[str, str] | None:
    """Return a distribution's name and version; None for one without them.

    An interrupted pip leaves folders with entry points and no metadata. Asking such a one for ``.name`` is
    deprecated from Python 3.12 on.
    """
    if distribution is None:
        return None
    names, versions = (distribution.metadata.get_all(field) for field in ("Name", "Version"))
    return (names[0], versions[0]) if names and versions else None
