"""``marketgpt plugins check``: the suite of a kind, run on an installed plugin."""

from __future__ import annotations

from typing import Any

import pytest

from marketgpt_core import PluginError
from marketgpt_core.conformance import conformance_class, run_conformance, suite_for

SNAKE = """
    from marketgpt_core import hookimpl
    from zoo_base import Animal

    class Snake(Animal):
        class Config(Animal.Config):
            legs: int = 0

    @hookimpl
    def marketgpt_animals():
        return {"snake": "snake_plugin:Snake"}
    """


def test_what_conforms_passes_and_what_does_not_fails(zoo: Any) -> None:
    zoo.plugin("snake", SNAKE)
    # Other packages' pytest plugins only make this slow.
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    good = zoo.marketgpt("plugins", "check", "cat", **alone)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "1 passed" in good.stdout
    assert "warning" not in good.stdout
    bad = zoo.marketgpt("plugins", "check", "snake", "--kind", "animal", **alone)
    assert bad.returncode == 1
    assert "test_it_has_legs" in bad.stdout
    assert "1 failed" in bad.stdout


def test_the_suite_gets_a_fresh_implementation_by_name(zoo: Any) -> None:
    suite = suite_for("animal", "cat")
    assert issubclass(suite, conformance_class("animal"))
    assert suite.__name__ == "TestInstalledPlugin"


def test_a_suite_that_is_no_class_is_reported(zoo: Any) -> None:
    (zoo.folder / "zoo_testing.py").write_text("AnimalConformance = 5\n")
    with pytest.raises(PluginError, match="the conformance suite of animal is not a class: 5"):
        conformance_class("animal")


def test_without_pytest_it_says_what_to_install(zoo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pytest", None)
    with pytest.raises(PluginError, match="needs pytest: pip install pytest"):
        run_conformance("animal", "cat")
