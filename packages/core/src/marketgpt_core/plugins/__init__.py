"""Plugins: found through entry points, loaded on demand, isolated from one another.

A distribution adds implementations by an entry point in the group of the package it extends, for example
``marketgpt.signals``. The entry point names a module whose hook functions return ``{name: "module:Class"}``;
the string keeps heavy imports out of start-up. Our own implementations come in the same way.
"""

from __future__ import annotations

from marketgpt_core.plugins.discovery import Plugin, PluginGroup, plugin_group
from marketgpt_core.plugins.markers import hookimpl, hookspec
from marketgpt_core.plugins.registry import Registry, registries, registry

__all__ = [
    "Plugin",
    "PluginGroup",
    "Registry",
    "hookimpl",
    "hookspec",
    "plugin_group",
    "registries",
    "registry",
]
