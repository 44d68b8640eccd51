"""The doctor's checks: what is found, what is missing, how it is mended."""

from __future__ import annotations

import importlib.util
import stat

import pytest

from marketgpt_core.doctor import Check, Health
from marketgpt_training import doctor

pytestmark = pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"
)


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """A path that holds only the commands a test puts there."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(name: str, script: str = "") -> str:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    return put


def check(topic: str) -> Check:
    (found,) = [one for one in doctor.checks() if one.topic == topic]
    return found


def test_every_check_answers_and_says_how_to_mend_what_is_not_well():
    found = list(doctor.checks())
    assert [one.topic for one in found] == ["torch", "accelerator", "deepspeed", "compiler", "slurm"]
    for one in found:
        assert isinstance(one, Check)
        assert one.found
        assert bool(one.mend) is (one.health is not Health.OK)


def test_torch_and_deepspeed_are_named_with_their_versions():
    import torch

    assert check("torch").health is Health.OK
    assert torch.__version__ in check("torch").found
    if importlib.util.find_spec("deepspeed"):
        assert check("deepspeed").health is Health.OK
        assert "ops it could build" in check("deepspeed").found


def test_a_missing_compiler_is_a_warning_with_its_package(commands):
    one = doctor._compiler()
    assert one.health is Health.WARN
    assert one.found == "g++ and ninja not found"
    assert "apt-get install -y g++ ninja-build" in one.mend


def test_only_what_is_missing_is_named(commands):
    commands("g++")
    assert doctor._compiler().found == "ninja not found"
    path = commands("ninja")
    one = doctor._compiler()
    assert (one.health, one.mend) == (Health.OK, "")
    assert path in one.found


def test_deepspeed_that_is_not_installed_is_a_warning(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    one = doctor._deepspeed()
    assert (one.health, one.found) == (Health.WARN, "not installed")
    assert "engine.name=torch" in one.mend


def test_without_an_accelerator_the_cpu_trains_but_an_unusable_one_is_a_warning(commands, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert doctor._accelerator() == Check("accelerator", Health.OK, "none: training runs on the CPU")
    commands("nvidia-smi")
    one = doctor._accelerator()
    assert one.health is Health.WARN
    assert "driver" in one.mend


def test_slurm_is_described_where_it_is(commands):
    assert doctor._slurm().found == "not here: jobs run on this machine"
    commands("sbatch")
    commands("sinfo", 'if [ "$1" = --version ]; then echo slurm 23.11.4; else echo "debug* up 2"; fi')
    assert doctor._slurm() == Check("slurm", Health.OK, "slurm 23.11.4; partitions: debug* up 2")


def test_slurm_that_does_not_answer_is_a_failure_with_its_words(commands):
    commands("sbatch")
    commands("sinfo", "echo 'slurm_load_partitions: Unable to contact' >&2; echo controller >&2; exit 1")
    one = doctor._slurm()
    assert one.health is Health.FAIL
    assert one.found == "sinfo fails: slurm_load_partitions: Unable to contact controller"
    assert one.mend
