"""The page "Your own data in ten minutes" does what it says: its files are written, its commands run."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "your-own-data.md"
# "`path`:" or "`path`." before a block is the file it holds; a block without a language holds commands.
BLOCK = re.compile(r"(?:`([^`\n]+)`[:.]\n\n)?```(\w*)\n(.*?)```", re.DOTALL)

pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="no docs beside this package")


def _install(source: Path, site: Path) -> None:
    """Do what pip does of an install that matters here, without its network: entry points and a path."""
    project = tomllib.loads((source / "pyproject.toml").read_text())["project"]
    about = site / f"{project['name']}-{project['version']}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Name: {project['name']}\nVersion: {project['version']}\n")
    lines = []
    for group, points in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")
    for package in (source / "src").iterdir():
        (site / package.name).symlink_to(package)


def _run(line: str, folder: Path) -> str | None:
    """Run a command of the page; None for one that is passed over."""
    words = shlex.split(line)
    if words[:2] == ["pip", "install"]:
        for local in (word for word in words[2:] if word.startswith("./")):
            _install(folder / local, folder / "site")
        return None
    program = {
        "python": [sys.executable],
        "marketgpt": [sys.executable, "-c", "from marketgpt_core.cli import main; main()"],
    }
    environment = {**os.environ, "PYTHONPATH": str(folder / "site"), "OMP_NUM_THREADS": "1"}
    environment.pop("MARKETGPT_STORE", None)
    done = subprocess.run(
        [*program[words[0]], *words[1:]],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def _follow(folder: Path, *, but: tuple[str, ...]) -> dict[str, str]:
    """Follow the page and return what each command printed."""
    printed: dict[str, str] = {}
    for name, language, text in BLOCK.findall(PAGE.read_text()):
        if language:
            assert name, f"a block of {language} without the name of its file:\n{text}"
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
            continue
        for line in text.splitlines():
            if not line.startswith(but):
                said = _run(line, folder)
                printed[line] = printed.get(line, "") + (said or "")
    return printed


@pytest.mark.slow
def test_the_page_does_what_it_says(tmp_path: Path) -> None:
    pytest.importorskip("marketgpt_training", reason="marketgpt-training is not installed")
    printed = _follow(tmp_path, but=())
    assert (tmp_path / "forecast.parquet").is_file()
    _check(printed)


def _check(printed: dict[str, str]) -> None:
    listed = printed["marketgpt data list --source csv:prices"].splitlines()
    assert [line.split()[0] for line in listed[1:5]] == ["AAPL", "IBM", "KO", "MSFT"]
    assert all("2014-01-02" in line and "2500" in line for line in listed[1:5])
    assert listed[1:5] == printed["marketgpt data list --source mydata:mydata.json"].splitlines()[1:5]
    assert "passed" in printed["marketgpt plugins check mydata"]
    assert "failed" not in printed["marketgpt plugins check mydata"]
