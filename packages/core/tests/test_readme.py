"""The README's example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / "README.md"


def test_the_example_runs(capsys: pytest.CaptureFixture[str]) -> None:
    example = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    exec(compile(example[1], str(README), "exec"), {})
    first, second, third = capsys.readouterr().out.splitlines()
    assert first.startswith("Candles(2 symbols, 1044 candles, 1d) (78,) ")
    assert "'horizon': 1" in second
    assert third.startswith("MSFT: 1 impossible candle (from my table): row 7 2015-01-12 high below open")
