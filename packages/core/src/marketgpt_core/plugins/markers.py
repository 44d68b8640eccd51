"""pluggy's markers, one project name for every package."""

from __future__ import annotations

import pluggy

PROJECT = "marketgpt"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
