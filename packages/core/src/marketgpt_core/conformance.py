"""Running a kind's conformance suite on an installed plugin.

Each kind's package ships a pytest class (``marketgpt_signals.testing.SignalStrategyConformance``) with one
method per requirement. A plugin author subclasses it in his own tests; ``marketgpt plugins check NAME`` runs
it on whatever is installed.
"""

from __future__ import annotations

import os
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from marketgpt_core.errors import PluginError
from marketgpt_core.plugins.registry import registry

VARIABLE = "MARKETGPT_CHECK"


def conformance_class(kind: str) -> type:
    """Return the pytest class of a kind."""
    loaded = resolve_name(registry(kind).conformance)
    if not isinstance(loaded, type):
        raise PluginError(f"the conformance suite of {kind} is not a class: {loaded!r}")
    return loaded


def suite_for(kind: str, name: str) -> type:
    """Return the suite of a kind bound to one installed implementation.

    The class's fixture ``implementation`` gives a fresh instance made with default options.
    """
    import pytest

    @pytest.fixture
    def implementation(self: object) -> Any:  # noqa: ANN401, ARG001 - any kind; a method to pytest
        return registry(kind).create(name)

    return type("TestInstalledPlugin", (conformance_class(kind),), {"implementation": implementation})


def run_conformance(kind: str, name: str) -> int:
    """Run the suite under pytest and return its exit status (0: conforms).

    Raises:
        PluginError: when pytest is not installed.
    """
    try:
        import pytest
    except ImportError:
        raise PluginError("checking a plugin needs pytest: pip install pytest") from None
    os.environ[VARIABLE] = f"{kind}/{name}"
    collected = Path(__file__).parent / "conformance_collect.py"
    options = [
        "-q",
        "-rs",
        "--no-header",
        "--import-mode=importlib",
        "-p",
        "no:cacheprovider",
        # The command imported the core before pytest could rewrite its asserts; the suites' are rewritten.
        "-W",
        "ignore::pytest.PytestAssertRewriteWarning",
        "-c",
        os.devnull,
    ]
    return int(pytest.main([*options, f"--rootdir={collected.parent}", str(collected)]))
