"""Start-up is quick: what answers from metadata alone imports nothing heavy, whatever is installed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "numpy",
    "pandas",
    "pydantic",
    "torch",
    "scipy",
    "pyarrow",
    "sqlalchemy",
    "fastapi",
    "nicegui",
    "yfinance",
)

PROBE = """
import json, sys
try:
    from marketgpt_core.cli import main
    main({arguments!r})
except SystemExit as stop:
    assert not stop.code, stop.code
print()
print(json.dumps([name for name in {heavy!r} if name in sys.modules]))
"""


@pytest.mark.parametrize("arguments", [["--help"], ["plugins"], ["plugins", "--json"], ["--version"]])
def test_the_command_answers_without_numpy_pandas_pydantic_or_torch(arguments: list[str]) -> None:
    code = PROBE.format(arguments=arguments, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_the_front_of_the_core_imports_nothing_heavy() -> None:
    code = f"import json, sys, marketgpt_core; print(json.dumps([n for n in {HEAVY!r} if n in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
