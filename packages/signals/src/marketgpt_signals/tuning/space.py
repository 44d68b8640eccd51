"""Where to search: from a strategy's declared options, or as ``KEY=LOW:HIGH`` and ``KEY=A,B,C``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from marketgpt_core.config import apply_overrides, load_config
from marketgpt_core.errors import ConfigError, hint
from marketgpt_signals.base import StrategyConfig

# In a field's ``json_schema_extra``: [low, high] where the bounds are wider than what makes sense to try, or
# false for what is no matter of taste.
TUNE = "tune"
_LOG = "log"
Value = str | int | float | bool


@dataclass(frozen=True)
class Range:
    """Numbers between two bounds, both included.

    Attributes:
        low, high: The bounds; whole numbers search whole numbers.
        log: Search orders of magnitude.
    """

    low: float
    high: float
    log: bool = False

    @property
    def whole(self) -> bool:
        """Whether only whole numbers are searched."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + (" (log)" if self.log else "")


@dataclass(frozen=True)
class Choice:
    """A few values.

    Attributes:
        values: At least two.
    """

    values: tuple[Value, ...]

    def __str__(self) -> str:
        return ", ".join(map(str, self.values))


Space = dict[str, Range | Choice]


def declared_space(config: type[StrategyConfig], taken: Iterable[str] = ()) -> Space:
    """Return what a strategy's own options declare: bounds on both sides, a choice of words, yes or no.

    Args:
        config: The strategy's ``Config``.
        taken: Options that have a value already.
    """
    shared = {*StrategyConfig.model_fields, *taken}
    found = {name: _declared(field) for name, field in config.model_fields.items() if name not in shared}
    return {name: one for name, one in found.items() if one is not None}


def _declared(field: FieldInfo) -> Range | Choice | None:
    extra = field.json_schema_extra
    wanted = extra.get(TUNE) if isinstance(extra, dict) else None
    if wanted is False:
        return None
    if isinstance(wanted, list | tuple):
        low, high = wanted
        return Range(low, high)  # type: ignore[arg-type]
    if get_origin(field.annotation) is Literal:
        return Choice(get_args(field.annotation))
    if field.annotation is bool:
        return Choice((False, True))
    if field.annotation not in {int, float}:
        return None
    low, high = _bound(field, "ge", "gt", 1), _bound(field, "le", "lt", -1)
    return None if low is None or high is None else Range(low, high)


def _bound(field: FieldInfo, closed: str, opened: str, inwards: int) -> float | None:
    """Return a bound; one that is not allowed itself is moved inwards, by one or by a thousandth."""
    for one in field.metadata:
        value: float | None = getattr(one, closed, None)
        if value is not None:
            return value
        edge: float | None = getattr(one, opened, None)
        if edge is not None:
            return edge + inwards * (1 if field.annotation is int else 1e-3)
    return None


def parse_options(
    config: type[StrategyConfig], texts: Iterable[str], *, where: str
) -> tuple[Space, dict[str, Any]]:
    """Read ``KEY=LOW:HIGH``, ``KEY=LOW:HIGH:log``, ``KEY=A,B,C``, ``KEY`` (as declared) and ``KEY=VALUE``.

    Without anything to search, everything the strategy declares is searched, but for what has a value.

    Args:
        config: The strategy's ``Config``.
        texts: Arguments.
        where: Where they came from, for messages.

    Returns:
        (space, fixed): what to search, and the values that stay.

    Raises:
        ConfigError: for an option that does not exist, bounds that are none or that it does not allow, and
            for nothing to search.
    """
    space: Space = {}
    fixed: list[str] = []
    for text in texts:
        key, equals, value = text.partition("=")
        if key not in config.model_fields and "." not in key:
            raise ConfigError(
                f"no such option {key[:40]!r} (from {where}); {hint(key, list(config.model_fields))}"
            )
        one = _read(config, key, value, where) if equals else declared_space(config).get(key)
        if one is not None:
            space[key] = one
        elif equals:
            fixed.append(text)
        else:
            raise ConfigError(
                f"{key} declares no bounds to search between (from {where}): write {key}=LOW:HIGH"
            )
    values = apply_overrides({}, fixed)
    space = space or declared_space(config, values)
    if not space:
        raise ConfigError(f"nothing to search (from {where}): write KEY=LOW:HIGH or KEY=A,B,C")
    _check(config, space, values, where)
    return space, values


def _read(config: type[StrategyConfig], key: str, text: str, where: str) -> Range | Choice | None:
    """Return a range or a choice; None for a single value, lists and tables among them."""
    if text.startswith(("[", "{", '"', "'")):
        return None
    if ":" in text:
        parts = text.split(":")
        low, high = (apply_overrides({}, [f"x={part}"])["x"] for part in (*parts, "", "")[:2])
        numbers = all(isinstance(bound, int | float) and not isinstance(bound, bool) for bound in (low, high))
        if not numbers or len(parts) > 3 or (len(parts) == 3 and parts[2] != _LOG):  # noqa: PLR2004
            raise ConfigError(f"{key}={text[:40]}: write LOW:HIGH or LOW:HIGH:log (from {where})")
        log = len(parts) == 3  # noqa: PLR2004
        if not low < high or (log and low <= 0):
            raise ConfigError(
                f"{key}={text[:40]}: LOW must be below HIGH, and above 0 with log (from {where})"
            )
        if config.model_fields[key].annotation is int:
            return Range(low, high, log)
        return Range(float(low), float(high), log)
    if "," in text:
        values = tuple(apply_overrides({}, [f"x={part}"])["x"] for part in text.split(","))
        if len(set(map(repr, values))) < len(values) or not all(isinstance(one, Value) for one in values):
            raise ConfigError(f"{key}={text[:40]}: write different words or numbers, A,B,C (from {where})")
        return Choice(values)
    return None


def _check(config: type[StrategyConfig], space: Space, fixed: Mapping[str, Any], where: str) -> None:
    """Refuse what the strategy does not allow before hours are spent: each end, each choice, by itself."""
    for key, one in space.items():
        for value in (one.low, one.high) if isinstance(one, Range) else one.values:
            load_config(config, {**fixed, key: value}, where=where)
