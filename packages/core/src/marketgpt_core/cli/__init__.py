"""The ``marketgpt`` command: a root whose subcommands come from entry points and load when used."""

from __future__ import annotations

from marketgpt_core.cli.options import json_option, print_json, progress_console
from marketgpt_core.cli.root import main, root

__all__ = ["json_option", "main", "print_json", "progress_console", "root"]
