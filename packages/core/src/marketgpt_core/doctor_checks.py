"""The core's own checks: Python, our packages, plugins, disk."""

from __future__ import annotations

import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import distributions
from pathlib import Path

from marketgpt_core.distributions import name_and_version
from marketgpt_core.doctor import Check, Health
from marketgpt_core.plugins.discovery import unmet_requirements
from marketgpt_core.plugins.registry import registries

_MIN_FREE_GB = 5.0


def checks() -> Iterator[Check]:
    """Yield the checks."""
    yield _python()
    yield from _packages()
    yield _plugins()
    yield _disk()


def _python() -> Check:
    text = f"{platform.python_version()} ({platform.machine()}, {platform.system()})"
    good = sys.version_info >= (3, 11)
    return Check(
        "python",
        Health.OK if good else Health.FAIL,
        text,
        "" if good else "install Python 3.11 or later",
    )


def _packages() -> Iterator[Check]:
    found = dict(one for dist in distributions() if (one := name_and_version(dist)))
    for name, version in sorted(found.items()):
        if name != "marketgpt" and not name.startswith("marketgpt-"):
            continue
        unmet = unmet_requirements(name)
        if unmet:
            mend = f"pip install --upgrade {name}"
            yield Check(name, Health.FAIL, f"{version}, needs {', '.join(unmet)}", mend)
        else:
            yield Check(name, Health.OK, version)


def _plugins() -> Check:
    names = sum(len(one.names()) for one in registries().values())
    broken = {p.key: p for one in registries().values() for p in one.group.plugins if p.status == "broken"}
    if not broken:
        return Check("plugins", Health.OK, f"{names} implementations of {len(registries())} kinds")
    text = "; ".join(f"{plugin}: {plugin.error}" for plugin in broken.values())
    culprits = ", ".join(sorted({plugin.distribution for plugin in broken.values()}))
    return Check("plugins", Health.FAIL, text, f"upgrade or uninstall {culprits}")


def _disk() -> Check:
    free_gb = shutil.disk_usage(Path.cwd()).free / 1e9
    if free_gb >= _MIN_FREE_GB:
        return Check("free disk", Health.OK, f"{free_gb:.1f} GB in {Path.cwd()}")
    mend = f"free at least {_MIN_FREE_GB:.0f} GB or work in another folder"
    return Check("free disk", Health.WARN, f"{free_gb:.1f} GB in {Path.cwd()}", mend)
