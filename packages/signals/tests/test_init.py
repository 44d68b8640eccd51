from __future__ import annotations

import ast
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import marketgpt_signals

HEAVY = {"numpy", "pandas", "pydantic", "sqlalchemy", "fastapi", "numba", "torch"}


def test_every_public_name_can_be_imported():
    for name in marketgpt_signals.__all__:
        # A module of the same name would take its place as soon as anything imports it.
        assert callable(getattr(marketgpt_signals, name)), name
        assert find_spec(f"marketgpt_signals.{name}") is None, name
    assert dir(marketgpt_signals) == marketgpt_signals.__all__


def test_importing_the_package_its_plugin_and_its_commands_loads_nothing_heavy():
    code = (
        "import sys, marketgpt_signals, marketgpt_signals.plugin, marketgpt_signals.cli, "
        "marketgpt_signals.registry as r; r.strategies().names(); "
        f"print(sorted({HEAVY!r} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_nothing_of_it_needs_torch_or_a_sibling():
    allowed = {"marketgpt_core", "marketgpt_signals"}
    sources = list(Path(marketgpt_signals.__file__).parent.rglob("*.py"))
    assert len(sources) > 20
    for source in sources:
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for top in (name.split(".")[0] for name in names):
                assert top != "torch", source
                assert not top.startswith("marketgpt") or top in allowed, source
