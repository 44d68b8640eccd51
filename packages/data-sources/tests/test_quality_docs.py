"""The page of the checks names every check with its severity, every threshold with its default."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from marketgpt_data_sources.quality import CHECKS, QualityConfig

PAGE = Path(__file__).parents[3] / "docs" / "data-quality.md"

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="no docs beside this package")


def _rows() -> dict[str, list[str]]:
    lines = PAGE.read_text().splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")
    ]
    return {row[0].strip("`"): row[1:] for row in cells if len(row) == 4 and row[0].strip("`") in CHECKS}


def test_every_check_is_told_with_its_severity() -> None:
    rows = _rows()
    assert list(rows) == list(CHECKS)
    assert {name: row[0] for name, row in rows.items()} == {
        name: str(check.severity) for name, check in CHECKS.items()
    }


def test_every_row_check_has_an_example_line() -> None:
    examples = re.search(r"One line each.*?```\n(.*?)```", PAGE.read_text(), re.DOTALL)[1].splitlines()
    assert len(examples) == len(CHECKS)
    for line, check in zip(examples, CHECKS.values(), strict=True):
        assert " x " not in line or check.about in line or check.name == "jump"


def test_every_threshold_is_told_with_its_default() -> None:
    text = " ".join(row[2] for row in _rows().values())
    for name, field in QualityConfig.model_fields.items():
        assert field.description
        if name in {"checks", "skip"}:
            continue
        assert f"`{name}`" in text
        told = re.search(rf"`{name}` \(([^)]*)\)", text)
        if name != "split_ratios":
            number = told[1]
            value = eval(number) if "/" in number else float(number)
            assert value == pytest.approx(field.default)


def test_the_file_on_the_page_is_one() -> None:
    text = re.search(r"```toml\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    config = QualityConfig.model_validate(tomllib.loads(text))
    assert (config.stale_bars, config.skip) == (20, ("off-session",))
