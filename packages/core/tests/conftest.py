"""Distributions that exist only for a test: real ``.dist-info`` folders on ``sys.path``."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from marketgpt_core.plugins import plugin_group, registries

# A package with a plugin kind of its own, so that these tests depend on none of the others.
ZOO = {
    "zoo_specs": """
        from marketgpt_core.plugins import hookspec

        @hookspec
        def marketgpt_animals():
            raise NotImplementedError

        @hookspec
        def marketgpt_plants():
            raise NotImplementedError
        """,
    "zoo_base": """
        from marketgpt_core.config import Config

        class Animal:
            class Config(Config):
                legs: int = 4

            def __init__(self, config):
                self.config = config

        class Cat(Animal):
            pass
        """,
    "zoo_registry": """
        from functools import cache
        from marketgpt_core.plugins import Registry

        @cache
        def animals():
            return Registry(
                kind="animal", group="marketgpt.animals", specs="zoo_specs", hook="marketgpt_animals",
                base="zoo_base:Animal", conformance="zoo_testing:AnimalConformance",
            )
        """,
    "zoo_plugin": """
        from marketgpt_core import hookimpl

        @hookimpl
        def marketgpt_animals():
            return {"cat": "zoo_base:Cat"}
        """,
    "zoo_testing": """
        class AnimalConformance:
            def test_it_has_legs(self, implementation):
                assert implementation.config.legs > 0
        """,
}

DOG = """
    from marketgpt_core import hookimpl
    from zoo_base import Animal

    class Dog(Animal):
        pass

    @hookimpl
    def marketgpt_animals():
        return {"dog": "dog_plugin:Dog"}
    """


class Site:
    """A folder of installed distributions."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(
        self,
        name: str,
        *,
        points: dict[str, dict[str, str]],
        modules: dict[str, str] | None = None,
        requires: tuple[str, ...] = (),
        version: str = "1.0",
    ) -> None:
        """Install a distribution: its entry points by group, its modules by name."""
        info = self.folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        wants = "".join(f"Requires-Dist: {one}\n" for one in requires)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{wants}\n")
        lines = [
            line
            for group, entries in points.items()
            for line in (f"[{group}]", *(f"{key} = {value}" for key, value in entries.items()))
        ]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n")
        for module, source in (modules or {}).items():
            (self.folder / f"{module}.py").write_text(dedent(source))

    def plugin(self, name: str, source: str, *, requires: tuple[str, ...] = ()) -> None:
        """Install a distribution ``name`` with one plugin of the zoo, ``name``, in ``name_plugin``."""
        module = f"{name}_plugin"
        points = {"marketgpt.animals": {name: module}}
        self.install(name, points=points, modules={module: source}, requires=requires)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run Python in a new process that sees these distributions."""
        env = os.environ | {"PYTHONPATH": str(self.folder), "PYTHONWARNINGS": "error"} | environment
        return subprocess.run(
            [sys.executable, *arguments], capture_output=True, text=True, env=env, timeout=120, check=False
        )

    def marketgpt(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the command in a new process."""
        return self.run("-c", "from marketgpt_core.cli import main; main()", *arguments, **environment)


def _forget() -> None:
    plugin_group.cache_clear()
    registries.cache_clear()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An empty folder of distributions, first on ``sys.path``."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.delenv("MARKETGPT_STRICT_PLUGINS", raising=False)
    monkeypatch.delenv("MARKETGPT_DISABLE_PLUGINS", raising=False)
    monkeypatch.syspath_prepend(folder)
    _forget()
    yield Site(folder)
    _forget()
    # `marketgpt plugins`, run in this process, quietens it.
    logging.getLogger("marketgpt_core.plugins").setLevel(logging.NOTSET)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture
def zoo(site: Site) -> Site:
    """A folder that holds the package of the kind ``animal``."""
    points = {
        "marketgpt.registries": {"animal": "zoo_registry:animals"},
        "marketgpt.animals": {"builtin": "zoo_plugin"},
    }
    site.install("marketgpt-zoo", points=points, modules=ZOO)
    return site


@pytest.fixture
def dog() -> str:
    """Source of a plugin that works."""
    return DOG
