"""Collected by pytest when ``marketgpt plugins check`` runs; holds the suite of the plugin named there."""

from __future__ import annotations

import os

from marketgpt_core.conformance import VARIABLE, suite_for

if VARIABLE in os.environ:
    TestInstalledPlugin = suite_for(*os.environ[VARIABLE].split("/", 1))
