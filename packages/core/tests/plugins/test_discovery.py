"""Plugins are found by metadata and loaded in isolation: a broken one is named and harms nobody."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from marketgpt_core.errors import PluginError
from marketgpt_core.plugins import PluginGroup
from marketgpt_core.plugins.discovery import Plugin, listed, unmet_requirements

BROKEN = {
    "missing_module": (
        "import not_installed_anywhere",
        "ModuleNotFoundError: No module named 'not_installed",
    ),
    "syntax": ("def broken(:", "SyntaxError"),
    "raises": ("raise RuntimeError('no licence\\nfound')", "RuntimeError: no licence found"),
    "exits": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "misspelt": (
        """
        from marketgpt_core import hookimpl

        @hookimpl
        def marketgpt_animal():
            return {}
        """,
        "unknown hook 'marketgpt_animal'",
    ),
    "argument": (
        """
        from marketgpt_core import hookimpl

        @hookimpl
        def marketgpt_animals(config):
            return {}
        """,
        "config",
    ),
}


def group() -> PluginGroup:
    return PluginGroup("marketgpt.animals", "zoo_specs")


def by_name(found: PluginGroup) -> dict[str, Plugin]:
    return {plugin.distribution: plugin for plugin in found.plugins}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_named_and_the_others_load(
    zoo: Any, dog: str, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    source, words = BROKEN[name]
    zoo.plugin(name, source)
    zoo.plugin("dog", dog)
    with caplog.at_level(logging.WARNING):
        plugins = by_name(group())
    assert plugins[name].status == "broken"
    assert words in plugins[name].error
    assert "\n" not in plugins[name].error
    assert plugins["dog"].status == plugins["marketgpt-zoo"].status == "ok"
    assert [record.message.split(": ")[0] for record in caplog.records] == [
        f"skipping plugin '{name}' ({name} 1.0)"
    ]


@pytest.mark.parametrize("name", BROKEN)
def test_strict_raises_what_was_skipped(zoo: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    zoo.plugin(name, BROKEN[name][0])
    monkeypatch.setenv("MARKETGPT_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match=f"skipping plugin '{name}'"):
        group().load()
    monkeypatch.setenv("MARKETGPT_STRICT_PLUGINS", "0")
    group().load()


def test_the_reason_names_what_the_distribution_lacks(zoo: Any) -> None:
    requires = ("not-installed-anywhere>=2", "marketgpt-core<0.0.1", "numpy>=1", "also-missing; extra == 'x'")
    zoo.plugin("needy", "import not_installed_anywhere", requires=requires)
    error = by_name(group())["needy"].error
    assert "it needs not-installed-anywhere>=2 (not installed), marketgpt-core<0.0.1 (0." in error
    assert "numpy" not in error
    assert "also-missing" not in error


def test_unmet_requirements_of_what_is_not_there_or_not_valid(site: Any) -> None:
    assert unmet_requirements("nobody-has-this") == []
    site.install("odd", points={}, requires=("not a requirement at all",))
    assert unmet_requirements("odd") == ["not a requirement at all (not a valid requirement)"]


@pytest.mark.parametrize("wanted", ["dog", "dog:dog", " dog , nobody"])
def test_a_plugin_can_be_disabled(zoo: Any, dog: str, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    zoo.plugin("dog", "raise RuntimeError('must not be imported')")
    monkeypatch.setenv("MARKETGPT_DISABLE_PLUGINS", wanted)
    plugins = by_name(group())
    assert (plugins["dog"].status, plugins["marketgpt-zoo"].status) == ("disabled", "ok")
    assert plugins["dog"].error == "disabled by MARKETGPT_DISABLE_PLUGINS"


def test_a_hook_that_raises_breaks_its_plugin_only(zoo: Any, dog: str) -> None:
    zoo.plugin(
        "angry", "from marketgpt_core import hookimpl\n@hookimpl\ndef marketgpt_animals():\n    1 / 0\n"
    )
    zoo.plugin("dog", dog)
    found = group()
    results = {plugin.name: value for plugin, value in found.call_each("marketgpt_animals")}
    assert results == {"builtin": {"cat": "zoo_base:Cat"}, "dog": {"dog": "dog_plugin:Dog"}}
    assert by_name(found)["angry"].error.startswith("ZeroDivisionError")


def test_a_plugin_without_the_hook_is_no_mistake(zoo: Any) -> None:
    zoo.plugin(
        "gardener", "from marketgpt_core import hookimpl\n@hookimpl\ndef marketgpt_plants():\n    return {}\n"
    )
    found = group()
    assert [plugin.name for plugin, _ in found.call_each("marketgpt_animals")] == ["builtin"]
    assert [plugin.name for plugin, _ in found.call_each("marketgpt_plants")] == ["gardener"]
    assert by_name(found)["gardener"].status == "ok"


def test_ours_come_first_and_no_name_is_lost(zoo: Any, dog: str) -> None:
    for name in ("aardvark", "zebra"):
        zoo.plugin(name, "")
    # Two distributions may use the same entry-point name.
    zoo.install(
        "another", points={"marketgpt.animals": {"zebra": "another_zebra"}}, modules={"another_zebra": ""}
    )
    keys = [plugin.key for plugin, _ in listed("marketgpt.animals")]
    assert keys == ["marketgpt-zoo:builtin", "aardvark:aardvark", "another:zebra", "zebra:zebra"]


def test_listing_imports_nothing(zoo: Any) -> None:
    zoo.plugin("bomb", "raise SystemExit('imported')")
    assert "bomb:bomb" in [plugin.key for plugin, _ in listed("marketgpt.animals")]


def test_what_an_interrupted_pip_leaves_behind_harms_nobody(zoo: Any) -> None:
    half = zoo.folder / "half-1.0.dist-info"
    half.mkdir()
    (half / "entry_points.txt").write_text("[marketgpt.animals]\nhalf = half_plugin\n")
    plugins = by_name(group())
    assert plugins["unknown"].status == "broken"
    assert plugins["marketgpt-zoo"].status == "ok"
