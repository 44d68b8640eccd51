"""The package's front."""

from __future__ import annotations

import subprocess
import sys

import pytest

import marketgpt


def test_the_public_names_are_there_and_nothing_heavy_is_imported_for_them():
    code = (
        "import sys, marketgpt; print(*marketgpt.__all__, *dir(marketgpt), "
        "[n for n in ('numpy', 'pandas', 'pydantic', 'torch', 'plotly') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names = "DemoResult Forecaster create_application run_demo"
    assert done.stdout == f"{names} {names} []\n"


def test_a_public_name_resolves_and_an_unknown_one_does_not():
    from marketgpt.serve import create_application

    assert marketgpt.create_application is create_application
    with pytest.raises(AttributeError, match="no attribute 'run_dmo'"):
        _ = marketgpt.run_dmo
