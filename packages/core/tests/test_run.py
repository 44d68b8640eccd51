"""Run folders: sealed, then refused when anything does not fit."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from marketgpt_core import FixedClock, Run, RunError
from marketgpt_core.run import code_revision, package_versions

CLOCK = FixedClock(datetime(2026, 11, 22, 18, tzinfo=UTC))
FINGERPRINT = "ab" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "run"
    (path / "checkpoints" / "step_10").mkdir(parents=True)
    (path / "plots").mkdir()
    (path / "model.safetensors").write_bytes(b"\x00weights")
    (path / "model.json").write_text('{"layers": 2}')
    (path / "tokenizer.json").write_text("{}")
    (path / "plots" / "loss.svg").write_text("<svg/>")
    (path / "metrics.jsonl").write_text('{"loss": 1}\n')
    (path / "checkpoints" / "step_10" / "state.pt").write_bytes(b"big")
    (path / ".half.tmp").write_text("left by a crash")
    return path


def seal(folder: Path, **extra: Any) -> Run:
    return Run.seal(folder, data_fingerprint=FINGERPRINT, clock=CLOCK, **extra)


def edit(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            del manifest[key]
        else:
            manifest[key] = value
    path.write_text(json.dumps(manifest))


def test_seal_then_open(folder: Path) -> None:
    sealed = seal(folder, preset="demo")
    opened = Run.open(str(folder))
    assert opened.manifest == sealed.manifest == json.loads((folder / "manifest.json").read_text())
    assert sorted(opened.manifest["files"]) == [
        "model.json", "model.safetensors", "plots/loss.svg", "tokenizer.json",
    ]  # fmt: skip
    assert opened.manifest["created_at"] == "2026-11-22T18:00:00+00:00"
    assert opened.manifest["preset"] == "demo"
    assert opened.data_fingerprint == FINGERPRINT
    assert opened.file("plots/loss.svg").read_text() == "<svg/>"
    assert opened.json("model.json") == {"layers": 2}
    assert opened.manifest["packages"]["marketgpt-core"]


def test_what_is_not_sealed_may_change(folder: Path) -> None:
    seal(folder)
    (folder / "metrics.jsonl").write_text("more")
    (folder / "checkpoints" / "step_10" / "state.pt").unlink()
    (folder / "tensorboard").mkdir()
    Run.open(folder)


def test_the_id_is_of_what_decides_forecasts(folder: Path) -> None:
    first = seal(folder).id
    assert len(first) == 16
    (folder / "plots" / "loss.svg").write_text("<svg>other</svg>")
    assert seal(folder).id == first
    (folder / "tokenizer.json").write_text('{"other": 1}')
    assert seal(folder).id != first


@pytest.mark.parametrize("name", ["model.safetensors", "plots/loss.svg"])
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    seal(folder)
    with (folder / name).open("ab") as file:
        file.write(b" ")
    with pytest.raises(
        RunError, match=f"{name} is not the file this run was sealed with: sha256 .*restore it"
    ):
        Run.open(folder)


def test_a_missing_file_is_refused(folder: Path) -> None:
    seal(folder)
    (folder / "model.json").unlink()
    with pytest.raises(RunError, match=r"lacks model\.json, which its manifest lists"):
        Run.open(folder)


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/hostname", "plots/../../outside.txt", "a\0b", "link"]
)
def test_a_manifest_cannot_reach_outside(folder: Path, name: str) -> None:
    (folder.parent / "outside.txt").write_text("secret")
    seal(folder)
    (folder / "link").symlink_to(folder.parent / "outside.txt")
    edit(folder, files={name: "0" * 64})
    with pytest.raises(RunError, match="names a file outside the run"):
        Run.open(folder)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": 2}, "has run format 2; this version reads 1"),
        ({"format": None}, "has run format None; this version reads 1"),
        ({"files": None}, "is not a run's manifest: it lists no files"),
        ({"files": ["model.json"]}, "is not a run's manifest: it lists no files"),
        ({"files": {"model.json": 5}}, "is not the file this run was sealed with"),
        ({"data_fingerprint": None}, "is not a run's manifest: it has no data_fingerprint"),
        ({"data_fingerprint": 5}, "is not a run's manifest: it has no data_fingerprint"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(folder: Path, changes: dict[str, Any], words: str) -> None:
    seal(folder)
    edit(folder, **changes)
    with pytest.raises(RunError, match=words):
        Run.open(folder)


@pytest.mark.parametrize("text", ["", "[]", "null", "{", "[" * 100_000])
def test_a_manifest_that_is_no_object_is_refused(folder: Path, text: str) -> None:
    seal(folder)
    (folder / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=r"manifest\.json is not"):
        Run.open(folder)


def test_what_is_no_run_is_told_apart(folder: Path) -> None:
    with pytest.raises(RunError, match="is not a run: no such folder"):
        Run.open(folder / "nowhere")
    with pytest.raises(RunError, match="is not a run: no such folder"):
        Run.open(folder / "model.json")
    with pytest.raises(RunError, match=r"is not a finished run: it has no manifest\.json"):
        Run.open(folder)


def test_only_sealed_files_are_given_out(folder: Path) -> None:
    run = seal(folder)
    (folder / "added_later.json").write_text("{}")
    for name in ("added_later.json", "metrics.jsonl", "../run/model.json"):
        with pytest.raises(RunError, match=f"has no {name}"):
            run.file(name)
    (folder / "list.json").write_text("[1]")
    with pytest.raises(RunError, match=r"list\.json is not a JSON object"):
        seal(folder).json("list.json")


def test_versions_and_revision_are_recorded() -> None:
    versions = package_versions()
    assert list(versions) == sorted(versions)
    assert {"marketgpt-core", "numpy", "pandas"} <= set(versions)
    revision = code_revision()
    assert revision == "release" or len(revision.removesuffix("-dirty")) == 40


def test_what_an_interrupted_pip_leaves_behind_does_not_stop_a_seal(site: Any) -> None:
    half = site.folder / "half-1.0.dist-info"
    half.mkdir()
    (half / "entry_points.txt").write_text("[marketgpt.animals]\nhalf = half_plugin\n")
    assert None not in package_versions()


def test_outside_a_checkout_the_code_is_a_release(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))  # no git
    assert code_revision() == "release"
