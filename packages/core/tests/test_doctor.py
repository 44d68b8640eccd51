"""The doctor reports, whatever breaks."""

from __future__ import annotations

import json
import re
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pytest
from click.testing import CliRunner

from marketgpt_core import doctor as doctor_module
from marketgpt_core import doctor_checks
from marketgpt_core.cli import root
from marketgpt_core.doctor import Check, Health, examine


@pytest.fixture(autouse=True)
def _no_other_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checks of the other packages import torch and start databases: theirs to test."""
    others = re.compile(r"marketgpt(-(?!core).*)?")

    def ours(group: str) -> list[EntryPoint]:
        found = entry_points(group=group)
        return [point for point in found if not (point.dist and others.fullmatch(point.dist.name or ""))]

    monkeypatch.setattr(doctor_module, "entry_points_of", ours)


def by_topic(checks: list[Check]) -> dict[str, Check]:
    return {check.topic: check for check in checks}


def test_a_check_that_raises_becomes_a_failing_line(site: Any) -> None:
    source = "def checks():\n    raise OSError('no such device')\ndef leaves():\n    raise SystemExit(9)\n"
    points = {
        "marketgpt.doctor": {"gpu": "gpu_checks:checks", "exit": "gpu_checks:leaves", "gone": "gone:checks"}
    }
    site.install("gpu", points=points, modules={"gpu_checks": source})
    found = by_topic(examine())
    assert found["checks of gpu"] == Check(
        "checks of gpu", Health.FAIL, "OSError: no such device", "reinstall the package"
    )
    assert found["checks of exit"].found == "SystemExit: 9"
    assert found["checks of gone"].found.startswith("ModuleNotFoundError")
    assert found["python"].health is Health.OK


def test_what_was_found_before_a_check_raised_is_kept_out_of_the_way(site: Any) -> None:
    source = (
        "from marketgpt_core.doctor import Check, Health\n"
        "def checks():\n    yield Check('half', Health.OK, 'x')\n    raise RuntimeError('later')\n"
    )
    site.install(
        "half", points={"marketgpt.doctor": {"half": "half_checks:checks"}}, modules={"half_checks": source}
    )
    found = by_topic(examine())
    assert found["checks of half"].found == "RuntimeError: later"


def test_our_packages_and_what_they_lack(site: Any) -> None:
    site.install("marketgpt-future", points={}, requires=("marketgpt-core>=99",))
    found = by_topic(list(doctor_checks.checks()))
    assert found["marketgpt-core"].health is Health.OK
    assert found["marketgpt-future"].health is Health.FAIL
    assert "needs marketgpt-core>=99 (0." in found["marketgpt-future"].found
    assert found["marketgpt-future"].mend == "pip install --upgrade marketgpt-future"


def test_a_broken_plugin_is_named_with_its_culprit(zoo: Any) -> None:
    zoo.plugin("horse", "import not_installed_anywhere")
    found = by_topic(list(doctor_checks.checks()))["plugins"]
    assert found.health is Health.FAIL
    assert "'horse' (horse 1.0): ModuleNotFoundError" in found.found
    assert "horse" in found.mend


def test_little_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1.2e9}))
    found = by_topic(list(doctor_checks.checks()))["free disk"]
    assert found.health is Health.WARN
    assert found.found.startswith("1.2 GB in ")


def test_the_command_exits_1_when_something_will_not_work(site: Any) -> None:
    site.install("bad", points={"marketgpt.doctor": {"bad": "gone:checks"}})
    done = CliRunner().invoke(root, ["doctor", "--json"])
    checks = by_topic([Check(**one) for one in json.loads(done.stdout)])
    assert done.exit_code == 1
    assert checks["checks of bad"].health == "fail"
    text = CliRunner().invoke(root, ["doctor"])
    assert text.exit_code == 1
    line = next(line for line in text.stdout.splitlines() if "checks of bad" in line)
    assert line.startswith("fail  checks of bad")
    assert "to mend: reinstall the package" in text.stdout
