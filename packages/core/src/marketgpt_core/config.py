"""Frozen, validated configuration: TOML for people, ``key.sub=value`` on the command line."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from marketgpt_core.errors import ConfigError, hint


class Config(BaseModel):
    """Base of every configuration: unknown keys are refused, values cannot change."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


C = TypeVar("C", bound=BaseModel)

# Of a wrong key or value, in a message.
_MOST_CHARACTERS = 120


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: when it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    # Not UTF-8, not TOML, a number of thousands of digits, or brackets without end.
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} is not TOML: {error}") from error


def apply_overrides(values: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Return a copy of nested ``values`` with ``key.sub=value`` assignments applied.

    The right side is read as a TOML value; what is not TOML is taken as a string.

    Raises:
        ConfigError: for an assignment without ``=`` or one that goes through a plain value.
    """
    result = _deep_copy(values)
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{override!r} is not an override: write key.sub=value")
        *parents, last = key.strip().split(".")
        node = result
        for parent in parents:
            child = node.setdefault(parent, {})
            if not isinstance(child, dict):
                raise ConfigError(f"override {override!r}: {parent!r} is a value, not a section")
            node = child
        node[last] = _toml_value(text.strip())
    return result


def _deep_copy(values: Mapping[str, Any]) -> dict[str, Any]:
    return {k: _deep_copy(v) if isinstance(v, Mapping) else v for k, v in values.items()}


def _toml_value(text: str) -> Any:  # noqa: ANN401 - a TOML value is any of six types
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        return text


def load_config(cls: type[C], values: Mapping[str, Any], *, where: str) -> C:
    """Validate nested values as a configuration class.

    Args:
        cls: The pydantic class.
        values: Nested values.
        where: Where they came from (a preset, a file), for messages.

    Raises:
        ConfigError: one line that names the first wrong key or value and what is allowed.
    """
    try:
        return cls.model_validate(dict(values))
    except ValidationError as error:
        raise ConfigError(_explain(cls, error, where)) from error


def _explain(cls: type[BaseModel], error: ValidationError, where: str) -> str:
    first, *others = error.errors(include_url=False)
    path = [str(part)[:_MOST_CHARACTERS] for part in first["loc"]]
    key = ".".join(path) or cls.__name__
    more = f" (and {len(others)} more)" if others else ""
    if first["type"] == "extra_forbidden":
        allowed = _fields_at(cls, path[:-1])
        known = f"; {hint(path[-1], allowed)}" if allowed else ""
        return f"no such key {key!r} (from {where}){known}{more}"
    given = "" if first["type"] == "missing" else f", got {_short(first['input'])}"
    return f"{key}: {first['msg']}{given} (from {where}){more}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}..."


def _fields_at(cls: type[BaseModel], path: list[str]) -> list[str]:
    """Return the fields of the section a path leads to; none where that is ambiguous."""
    for part in path:
        if part not in cls.model_fields:
            continue  # the index of a list or the key of a dictionary of sections
        annotation = cls.model_fields[part].annotation
        models = [
            kind
            for kind in (annotation, *get_args(annotation))
            if isinstance(kind, type) and issubclass(kind, BaseModel)
        ]
        if len(models) != 1:
            return []
        cls = models[0]
    return list(cls.model_fields)


def to_toml(values: Mapping[str, Any]) -> str:
    """Write nested values as TOML that :func:`read_toml` reads back to the same values.

    ``None`` is left out: TOML has no null, and an absent key means the default.
    """
    lines: list[str] = []
    _emit(values, (), lines)
    return "\n".join(lines).strip() + "\n"


def _emit(values: Mapping[str, Any], path: tuple[str, ...], lines: list[str]) -> None:
    plain = {k: v for k, v in values.items() if not isinstance(v, Mapping) and v is not None}
    children = any(isinstance(value, Mapping) for value in values.values())
    if path and (plain or not children):
        lines += ["", f"[{'.'.join(_toml_key(part) for part in path)}]"]
    lines += [f"{_toml_key(key)} = {_toml_text(value)}" for key, value in plain.items()]
    for key, value in values.items():
        if isinstance(value, Mapping):
            _emit(value, (*path, key), lines)


def _toml_key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else _quote(key)


def _quote(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'


def _toml_text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return repr(int(value))
    if isinstance(value, float):
        # Not repr(value): numpy's floats are floats, and write np.float64(0.1).
        return repr(float(value))
    if isinstance(value, Mapping):
        items = (f"{_toml_key(key)} = {_toml_text(item)}" for key, item in value.items() if item is not None)
        return f"{{{', '.join(items)}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_toml_text(item) for item in value)}]"
    return _quote(str(value))
