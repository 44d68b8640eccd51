"""Finding and loading the plugin modules of one entry-point group."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib import import_module
from importlib.metadata import (
    Distribution,
    EntryPoint,
    PackageNotFoundError,
    entry_points,
    version,
)
from types import ModuleType

import pluggy

from marketgpt_core.distributions import name_and_version
from marketgpt_core.errors import PluginError
from marketgpt_core.plugins.markers import PROJECT

logger = logging.getLogger(__name__)

STRICT_VARIABLE = "MARKETGPT_STRICT_PLUGINS"
DISABLE_VARIABLE = "MARKETGPT_DISABLE_PLUGINS"


@dataclass(frozen=True)
class Plugin:
    """One entry point of a distribution, and what became of it.

    Attributes:
        group: Entry-point group, for example ``marketgpt.signals``.
        name: Entry-point name.
        distribution: Distribution that declares it.
        version: Its version.
        value: The module it names.
        status: ``ok``, ``disabled`` or ``broken``; ``listed`` before it was loaded.
        error: Why it is broken.
    """

    group: str
    name: str
    distribution: str
    version: str
    value: str
    status: str = "listed"
    error: str = ""

    @property
    def key(self) -> str:
        """Unique name: two distributions may use the same entry-point name."""
        return f"{self.distribution}:{self.name}"

    def __str__(self) -> str:
        return f"{self.name!r} ({self.distribution} {self.version})"


def strict() -> bool:
    """Whether a broken plugin raises instead of being skipped."""
    return os.environ.get(STRICT_VARIABLE, "") not in {"", "0"}


def is_disabled(plugin: Plugin) -> bool:
    """Whether the user disabled it, by entry-point name, distribution or both."""
    names = {part.strip() for part in os.environ.get(DISABLE_VARIABLE, "").split(",")}
    return bool(names & {plugin.name, plugin.distribution, plugin.key})


def entry_points_of(group: str) -> list[EntryPoint]:
    """Return the entry points of a group; the metadata of all distributions is read once a process."""
    return _scanned(tuple(sys.path)).get(group, [])


@lru_cache(maxsize=1)
def _scanned(path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:  # noqa: ARG001 - another path, another answer
    # Every call of entry_points() reads some 200 files, whatever group it asks for.
    points = entry_points()
    return {name: list(points.select(group=name)) for name in points.groups}


def listed(group: str) -> list[tuple[Plugin, EntryPoint]]:
    """Return the entry points of a group from metadata alone, ours first, then by distribution."""
    found: dict[str, tuple[Plugin, EntryPoint]] = {}
    for point in entry_points_of(group):
        distribution, version = name_and_version(point.dist) or ("unknown", "?")
        plugin = Plugin(
            group=group,
            name=point.name,
            distribution=distribution,
            version=version,
            value=point.value,
        )
        found.setdefault(plugin.key, (plugin, point))
    ours = ("marketgpt", "marketgpt-")
    return sorted(
        found.values(),
        key=lambda pair: (
            pair[0].name != "builtin",
            not pair[0].distribution.startswith(ours),
            pair[0].key,
        ),
    )


def unmet_requirements(distribution: str) -> list[str]:
    """Return what a distribution asks for and does not find: ``marketgpt-core<0.2 (0.3.0 installed)``."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        requires = Distribution.from_name(distribution).requires or []
    except PackageNotFoundError:
        return []
    unmet = []
    for text in requires:
        try:
            requirement = Requirement(text)
        except InvalidRequirement:
            unmet.append(f"{text} (not a valid requirement)")
            continue
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            unmet.append(f"{requirement.name}{requirement.specifier} (not installed)")
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            unmet.append(f"{requirement.name}{requirement.specifier} ({installed} installed)")
    return unmet


class PluginGroup:
    """The plugin modules of one entry-point group, loaded once, each in isolation.

    Args:
        group: Entry-point group.
        specs: Module that holds the hook specifications.
    """

    def __init__(self, group: str, specs: str) -> None:
        self.group = group
        self._specs = specs
        self._manager = pluggy.PluginManager(PROJECT)
        self._plugins: dict[str, Plugin] = {}
        self._loaded = False

    @property
    def plugins(self) -> list[Plugin]:
        """Every plugin with its status, loading them first."""
        self.load()
        return list(self._plugins.values())

    @property
    def hook(self) -> pluggy.HookRelay:
        """Pluggy's relay over all plugins that loaded."""
        self.load()
        return self._manager.hook

    def load(self) -> None:
        """Import and register every plugin; a broken one is reported and skipped.

        Raises:
            PluginError: for a broken one, when ``MARKETGPT_STRICT_PLUGINS`` is set.
        """
        if self._loaded:
            return
        self._manager.add_hookspecs(import_module(self._specs))
        for plugin, point in listed(self.group):
            self._plugins[plugin.key] = self._load_one(plugin, point)
        self._loaded = True

    def _load_one(self, plugin: Plugin, point: EntryPoint) -> Plugin:
        if is_disabled(plugin):
            return replace(plugin, status="disabled", error=f"disabled by {DISABLE_VARIABLE}")
        try:
            module = point.load()
            self._manager.register(module, name=plugin.key)
            self._manager.check_pending()
        # Whatever a plugin raises, sys.exit() at import too, must harm nobody else.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self._forget(plugin.key)
            return self.broken(plugin, error)
        return replace(plugin, status="ok")

    def _forget(self, key: str) -> None:
        if self._manager.has_plugin(key):
            self._manager.unregister(name=key)

    def broken(self, plugin: Plugin, error: BaseException) -> Plugin:
        """Record and report that a plugin is broken.

        Raises:
            PluginError: in strict mode.
        """
        unmet = unmet_requirements(plugin.distribution)
        reason = f"{type(error).__name__}: {' '.join(str(error).split())}"
        if unmet:
            reason += f"; it needs {', '.join(unmet)}"
        message = f"skipping plugin {plugin}: {reason}"
        if strict():
            raise PluginError(message) from error
        logger.warning("%s", message)
        result = replace(plugin, status="broken", error=reason)
        self._plugins[plugin.key] = result
        return result

    def call_each(self, hook: str) -> list[tuple[Plugin, object]]:
        """Call one hook plugin by plugin, so that results and failures are attributable.

        Returns:
            (plugin, what its hook returned) for the plugins that implement it.
        """
        self.load()
        results: list[tuple[Plugin, object]] = []
        for plugin in self.plugins:
            module = self._manager.get_plugin(plugin.key)
            if plugin.status != "ok" or module is None or not _implements(module, hook):
                continue
            others = [other for other in self._manager.get_plugins() if other is not module]
            try:
                values = self._manager.subset_hook_caller(hook, others)()
            except (Exception, SystemExit) as error:  # noqa: BLE001 - see _load_one
                self.broken(plugin, error)
                continue
            results += [(plugin, value) for value in values]
        return results


def _implements(module: ModuleType | object, hook: str) -> bool:
    return hasattr(module, hook)


@cache
def plugin_group(group: str, specs: str) -> PluginGroup:
    """Return the one :class:`PluginGroup` of an entry-point group in this process."""
    return PluginGroup(group, specs)
