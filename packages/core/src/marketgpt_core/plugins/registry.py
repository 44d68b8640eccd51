"""Registries: names to implementations of one kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pkgutil import resolve_name
from typing import Any, Generic, TypeVar, cast

from marketgpt_core.errors import PluginError, hint
from marketgpt_core.plugins.discovery import Plugin, PluginGroup, entry_points_of, plugin_group

T = TypeVar("T")

REGISTRIES_GROUP = "marketgpt.registries"


@dataclass(frozen=True)
class _Entry:
    target: str | type
    plugin: Plugin


class Registry(Generic[T]):
    """Implementations of one kind, by name.

    Args:
        kind: What it holds, for messages and listings: ``data-source``.
        group: Entry-point group.
        specs: Module that holds the hook specifications.
        hook: Hook that returns ``{name: "module:Class"}``.
        base: ``"module:Class"`` every implementation must be a subclass of.
        conformance: ``"module:Class"`` of the pytest class every implementation must pass.
    """

    def __init__(self, *, kind: str, group: str, specs: str, hook: str, base: str, conformance: str) -> None:
        self.kind = kind
        self.conformance = conformance
        self._group = plugin_group(group, specs)
        self._hook = hook
        self._base = base
        self._entries: dict[str, _Entry] | None = None

    @property
    def group(self) -> PluginGroup:
        """The plugins this registry draws from."""
        return self._group

    def _all(self) -> dict[str, _Entry]:
        if self._entries is None:
            entries: dict[str, _Entry] = {}
            for plugin, value in self._group.call_each(self._hook):
                self._add(entries, plugin, value)
            self._entries = entries
        return self._entries

    def _add(self, entries: dict[str, _Entry], plugin: Plugin, value: object) -> None:
        try:
            if not isinstance(value, Mapping):
                raise TypeError(f"{self._hook} must return a mapping, got {type(value).__name__}")  # noqa: TRY301
            for name, target in value.items():
                _check_entry(name, target, self._hook)
                if name in entries:
                    raise ValueError(f"{self.kind} {name!r} already comes from {entries[name].plugin}")  # noqa: TRY301
        except (TypeError, ValueError) as error:
            self._group.broken(plugin, error)
            return
        entries |= {name: _Entry(target, plugin) for name, target in value.items()}

    def names(self) -> list[str]:
        """Return the names that can be asked for, sorted."""
        return sorted(self._all())

    def provider(self, name: str) -> Plugin:
        """Return the plugin a name comes from.

        Raises:
            PluginError: for an unknown name.
        """
        return self._entry(name).plugin

    def _entry(self, name: str) -> _Entry:
        entries = self._all()
        if name not in entries:
            broken = [p for p in self._group.plugins if p.status != "ok"]
            also = "".join(f"; plugin {p} is {p.status}: {p.error}" for p in broken)
            raise PluginError(f"unknown {self.kind} {name!r}; {hint(name, entries)}{also}")
        return entries[name]

    def load(self, name: str) -> type[T]:
        """Import the class behind a name.

        Raises:
            PluginError: for an unknown name, a class that cannot be imported, or one of another kind.
        """
        entry = self._entry(name)
        try:
            loaded = resolve_name(entry.target) if isinstance(entry.target, str) else entry.target
            base = resolve_name(self._base)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise PluginError(
                f"{self.kind} {name!r} of plugin {entry.plugin} cannot be loaded: {reason}"
            ) from error
        if not (isinstance(loaded, type) and issubclass(loaded, base)):
            raise PluginError(f"{self.kind} {name!r} of plugin {entry.plugin} is not a {self._base}")
        return cast("type[T]", loaded)

    def create(self, name: str, options: Mapping[str, Any] | None = None, *, where: str = "") -> T:
        """Make the implementation behind a name, its options validated by its own ``Config``.

        Args:
            name: Its name.
            options: Options; what is left out keeps its default.
            where: Where the options came from, for messages.

        Raises:
            PluginError: see :meth:`load`.
            ConfigError: for an option that does not exist or does not fit.
        """
        from marketgpt_core.config import load_config

        cls: Any = self.load(name)
        config = load_config(cls.Config, options or {}, where=where or f"{self.kind} {name}")
        return cast("T", cls(config))


def _check_entry(name: object, target: object, hook: str) -> None:
    if not isinstance(name, str) or not name:
        raise TypeError(f"{hook}: a name must be text, got {name!r}")
    if not isinstance(target, str | type):
        raise TypeError(f"{hook}: {name!r} must map to 'module:Class' or a class, got {target!r}")


@cache
def registries() -> dict[str, Registry[Any]]:
    """Return every installed registry by kind; a package that fails to load is left out with a warning."""
    import logging

    found: dict[str, Registry[Any]] = {}
    for point in sorted(entry_points_of(REGISTRIES_GROUP), key=lambda p: p.name):
        try:
            found[point.name] = point.load()()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - one broken package must not hide the others
            logging.getLogger(__name__).warning("registry %s is unavailable: %s", point.name, error)
    return found


def registry(kind: str) -> Registry[Any]:
    """Return the registry of a kind.

    Raises:
        PluginError: when the package that owns the kind is not installed.
    """
    known = registries()
    if kind not in known:
        raise PluginError(f"no package that provides the kind {kind!r} is installed; {hint(kind, known)}")
    return known[kind]
