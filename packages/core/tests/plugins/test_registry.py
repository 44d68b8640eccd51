"""Names to implementations: hints, kinds, options, and who is to blame."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from marketgpt_core.errors import ConfigError, PluginError
from marketgpt_core.plugins import Registry, registries, registry


def impl(body: str) -> str:
    return f"from marketgpt_core import hookimpl\n@hookimpl\ndef marketgpt_animals():\n    return {body}\n"


def animals() -> Registry[Any]:
    return registry("animal")


def test_a_third_party_comes_in_as_ours_do(zoo: Any, dog: str) -> None:
    zoo.plugin("dog", dog)
    assert animals().names() == ["cat", "dog"]
    assert animals().load("dog").__name__ == "Dog"
    assert animals().provider("dog").distribution == "dog"
    assert animals().provider("cat").distribution == "marketgpt-zoo"


def test_options_are_validated_by_the_class(zoo: Any) -> None:
    assert animals().create("cat").config.legs == 4
    assert animals().create("cat", {"legs": 3}).config.legs == 3
    with pytest.raises(ConfigError, match=r"no such key 'leg' .from animal cat.; did you mean 'legs'"):
        animals().create("cat", {"leg": 3})
    with pytest.raises(ConfigError, match=r"legs: .*, got 'many' .from my file"):
        animals().create("cat", {"legs": "many"}, where="my file")


def test_an_unknown_name_gets_a_hint(zoo: Any, dog: str) -> None:
    zoo.plugin("dog", dog)
    with pytest.raises(PluginError, match=r"unknown animal 'dgo'; did you mean 'dog'\? known: cat, dog"):
        animals().load("dgo")


def test_an_unknown_name_tells_of_broken_and_disabled_plugins(
    zoo: Any, dog: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoo.plugin("dog", dog)
    zoo.plugin("horse", "import not_installed_anywhere")
    monkeypatch.setenv("MARKETGPT_DISABLE_PLUGINS", "dog")
    with pytest.raises(PluginError) as caught:
        animals().load("horse")
    assert "unknown animal 'horse'" in str(caught.value)
    assert "plugin 'horse' (horse 1.0) is broken: ModuleNotFoundError" in str(caught.value)
    assert "plugin 'dog' (dog 1.0) is disabled" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "body", "words"),
    [
        ("listing", "['x']", "TypeError: marketgpt_animals must return a mapping, got list"),
        (
            "number",
            "{'x': 5}",
            "TypeError: marketgpt_animals: 'x' must map to 'module:Class' or a class, got 5",
        ),
        ("nameless", "{'': 'a:b'}", "TypeError: marketgpt_animals: a name must be text, got ''"),
        (
            "copycat",
            "{'cat': 'a:b'}",
            "ValueError: animal 'cat' already comes from 'builtin' (marketgpt-zoo 1.0)",
        ),
    ],
)
def test_a_hook_that_returns_nonsense_breaks_its_plugin_only(
    zoo: Any, caplog: pytest.LogCaptureFixture, name: str, body: str, words: str
) -> None:
    zoo.plugin(name, impl(body))
    with caplog.at_level(logging.WARNING):
        assert animals().names() == ["cat"]
    broken = {plugin.name: plugin for plugin in animals().group.plugins}[name]
    assert broken.status == "broken"
    assert broken.error == words
    assert animals().provider("cat").distribution == "marketgpt-zoo"
    assert len(caplog.records) == 1


def test_a_duplicate_takes_none_of_the_plugins_names(zoo: Any) -> None:
    zoo.plugin("copycat", impl("{'lion': 'zoo_base:Cat', 'cat': 'zoo_base:Cat'}"))
    assert animals().names() == ["cat"]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("'gone_module:Animal'", "cannot be loaded: ModuleNotFoundError"),
        ("'zoo_base:Gone'", "cannot be loaded: AttributeError"),
        ("'zoo_base'", "is not a zoo_base:Animal"),
        ("'builtins:int'", "is not a zoo_base:Animal"),
        ("'not a path!'", "cannot be loaded: ValueError"),
        ("int", "is not a zoo_base:Animal"),
    ],
)
def test_a_class_that_does_not_fit_is_an_error_when_asked_for(zoo: Any, target: str, words: str) -> None:
    zoo.plugin("fish", impl(f"{{'fish': {target}}}"))
    assert animals().names() == ["cat", "fish"]
    with pytest.raises(PluginError) as caught:
        animals().load("fish")
    assert f"animal 'fish' of plugin 'fish' (fish 1.0) {words}" in str(caught.value)


def test_strict_raises_for_nonsense_too(zoo: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo.plugin("listing", impl("['x']"))
    monkeypatch.setenv("MARKETGPT_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError, match="must return a mapping"):
        animals().names()


def test_an_unknown_kind_is_told_from_a_missing_package(zoo: Any) -> None:
    with pytest.raises(PluginError, match="kind 'animals' is installed; did you mean 'animal'"):
        registry("animals")


def test_a_package_whose_registry_fails_hides_no_other(zoo: Any, caplog: pytest.LogCaptureFixture) -> None:
    zoo.install("broken-kind", points={"marketgpt.registries": {"ghost": "ghost_module:ghosts"}})
    with caplog.at_level(logging.WARNING):
        assert "animal" in registries()
    assert "ghost" not in registries()
    assert "registry ghost is unavailable: No module named 'ghost_module'" in caplog.text
