"""Configuration: messages that help, overrides, TOML both ways."""

from __future__ import annotations

import math
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, ValidationError

from marketgpt_core import Config, ConfigError, load_config
from marketgpt_core.config import apply_overrides, read_toml, to_toml


class Optimiser(Config):
    learning_rate: float = Field(default=1e-3, gt=0)
    warmup_steps: int = 10


class Training(Config):
    seed: int = 0
    name: str = "run"
    optimiser: Optimiser = Optimiser()
    second: Optimiser | None = None
    stages: tuple[Optimiser, ...] = ()
    either: int | str = 0


def failure(values: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(Training, values, where="preset small")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_values_are_validated_and_frozen() -> None:
    made = load_config(Training, {"seed": 3, "optimiser": {"learning_rate": 0.1}}, where="x")
    assert (made.seed, made.optimiser.learning_rate, made.optimiser.warmup_steps) == (3, 0.1, 10)
    with pytest.raises(ValidationError):
        made.seed = 4  # type: ignore[misc]


def test_an_unknown_key_gets_a_hint() -> None:
    assert failure({"sede": 1}) == (
        "no such key 'sede' (from preset small); did you mean 'seed'? "
        "known: either, name, optimiser, second, seed, stages"
    )


@pytest.mark.parametrize("section", ["optimiser", "second"])
def test_an_unknown_key_in_a_section_gets_the_hint_of_that_section(section: str) -> None:
    assert failure({section: {"learning_rat": 1}}) == (
        f"no such key '{section}.learning_rat' (from preset small); did you mean 'learning_rate'? "
        "known: learning_rate, warmup_steps"
    )


def test_an_unknown_key_in_a_list_of_sections_gets_it_too() -> None:
    assert "no such key 'stages.1.warmup' (from preset small); did you mean 'warmup_steps'" in failure(
        {"stages": [{}, {"warmup": 1}]}
    )


def test_a_wrong_value_is_named_with_its_place() -> None:
    assert failure({"optimiser": {"learning_rate": -1}}) == (
        "optimiser.learning_rate: Input should be greater than 0, got -1 (from preset small)"
    )
    assert failure({"seed": "many", "name": 5}).endswith("got 'many' (from preset small) (and 1 more)")


def test_a_long_value_is_cut() -> None:
    assert len(failure({"seed": list(range(100_000))})) < 300
    assert len(failure({"x" * 100_000: 1})) < 500


def test_overrides_reach_into_sections() -> None:
    base = {"seed": 0, "optimiser": {"learning_rate": 0.1, "warmup_steps": 5}}
    changed = apply_overrides(
        base, ["seed=7", "optimiser.learning_rate=2e-4", "a.b.c=[1, 2]", "name = small", "flag=true", "q='1'"]
    )
    assert changed == {
        "seed": 7,
        "optimiser": {"learning_rate": 2e-4, "warmup_steps": 5},
        "a": {"b": {"c": [1, 2]}},
        "name": "small",
        "flag": True,
        "q": "1",
    }
    assert base == {"seed": 0, "optimiser": {"learning_rate": 0.1, "warmup_steps": 5}}


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("k=", ""),
        ("k=a=b", "a=b"),
        ("k=0.5", 0.5),
        ("k=runs/my run", "runs/my run"),
        ("k=1\nother = 2", 1),
        ("k=" + "[" * 10_000, "[" * 10_000),
        ("k=" + "1" * 5_000, "1" * 5_000),
    ],
)
def test_what_is_not_toml_is_text(override: str, value: Any) -> None:
    assert apply_overrides({}, [override]) == {"k": value}


@pytest.mark.parametrize("override", ["seed", "=3", " = 3", ""])
def test_an_override_needs_a_key_and_a_value(override: str) -> None:
    with pytest.raises(ConfigError, match=r"is not an override: write key\.sub=value"):
        apply_overrides({}, [override])


def test_an_override_cannot_go_through_a_value() -> None:
    with pytest.raises(ConfigError, match=r"override 'seed\.x=1': 'seed' is a value, not a section"):
        apply_overrides({"seed": 0}, ["seed.x=1"])


_key = st.text(min_size=1, max_size=8)
_scalar = (
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.text(alphabet='"\\\n\r\t\x00\x1f\x7f\u2028\U0001f600', max_size=8)
)
_value = st.recursive(
    _scalar,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_key, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(_key, _value, max_size=5))
def test_toml_round_trips(values: dict[str, Any]) -> None:
    text = to_toml(values)
    assert tomllib.loads(text) == values
    assert to_toml(tomllib.loads(text)) == text


def test_toml_of_a_configuration_reads_back_as_the_same(tmp_path: Path) -> None:
    made = load_config(Training, {"second": {}, "stages": [{}, {"learning_rate": 3e-5}]}, where="x")
    path = tmp_path / "config.toml"
    path.write_text(to_toml(made.model_dump(mode="json")))
    assert load_config(Training, read_toml(path), where=str(path)) == made
    # None is left out: absent means the default.
    assert "second" not in to_toml(Training().model_dump(mode="json"))


def test_toml_of_numbers_that_are_not_plain() -> None:
    back = tomllib.loads(
        to_toml({"nan": math.nan, "inf": -math.inf, "np": np.float64(0.1), "tiny": 5e-324, "big": 10**30})
    )
    assert math.isnan(back["nan"])
    assert (back["inf"], back["np"], back["tiny"], back["big"]) == (-math.inf, 0.1, 5e-324, 10**30)


@pytest.mark.parametrize(
    "content", [b"key = ", b"\xff\xfe", b"x = " + b"[" * 10_000, b"x = " + b"1" * 5_000, b"a = 1\na = 2"]
)
def test_a_file_that_is_not_toml_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.toml is not TOML: "):
        read_toml(path)
    with pytest.raises(ConfigError, match=r"cannot read .*none\.toml: No such file"):
        read_toml(tmp_path / "none.toml")
