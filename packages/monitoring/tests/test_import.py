from __future__ import annotations

import subprocess
import sys

import pytest

import marketgpt_monitoring

HEAVY = ("numpy", "pandas", "pydantic", "torch", "river", "nicegui", "fastapi", "scipy")


@pytest.mark.parametrize(
    "module",
    [
        "marketgpt_monitoring",
        "marketgpt_monitoring.cli",
        "marketgpt_monitoring.plugin",
        "marketgpt_monitoring.registry",
        "marketgpt_monitoring.hookspecs",
    ],
)
def test_importing_is_cheap(module):
    code = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_public_name_exists():
    for name in marketgpt_monitoring.__all__:
        assert getattr(marketgpt_monitoring, name).__module__.startswith("marketgpt_monitoring")
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        marketgpt_monitoring.nothing  # noqa: B018
