"""The README's examples run and print what it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


EXAMPLE = re.compile(r"```python\n((?:(?!```).)*?)```\n\nprints `([^\n]*)`\.$", re.DOTALL | re.MULTILINE)


def examples() -> list[tuple[str, str]]:
    return EXAMPLE.findall(README.read_text(encoding="utf-8"))


def test_there_are_examples() -> None:
    assert len(examples()) == 2


@pytest.mark.parametrize(("example", "promised"), examples())
def test_the_example_prints_what_the_readme_says(
    example: str, promised: str, capsys: pytest.CaptureFixture[str]
) -> None:
    exec(compile(example, str(README), "exec"), {})
    assert capsys.readouterr().out.strip() == promised
