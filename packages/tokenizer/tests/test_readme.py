"""The README's example runs and prints what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_example_prints_what_the_readme_says(capsys: pytest.CaptureFixture[str]) -> None:
    text = README.read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    promised = re.search(r"^prints `(.*)`\.$", text, re.MULTILINE)
    assert example
    assert promised
    exec(compile(example[1], str(README), "exec"), {})
    assert capsys.readouterr().out.strip() == promised[1]
