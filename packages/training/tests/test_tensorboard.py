from __future__ import annotations

import pytest

from marketgpt_training.pipeline import train
from marketgpt_training.tensorboard_observer import FOLDER, _open

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


def scalars(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / FOLDER))
    events.Reload()
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_curves_are_those_of_the_run(make_config, candles, tmp_path):
    run = train(make_config(), tmp_path, candles=candles)
    found = scalars(tmp_path)
    assert {"train/loss", "train/lr", "train/grad_norm", "train/candles_per_s", "validation/nll"} <= set(
        found
    )
    epochs = run.json("training_summary.json")["epochs"]
    steps = run.json("training_summary.json")["steps"]
    assert [step for step, _ in found["train/loss"]] == list(range(1, steps + 1))
    assert [value for _, value in found["validation/nll"]] == pytest.approx([one["nll"] for one in epochs])
    assert not any(name.startswith(FOLDER) for name in run.manifest["files"])
    assert not _open


def test_a_resumed_run_has_every_step_once(make_config, candles, tmp_path, monkeypatch):
    from marketgpt_training.loop import Trainer

    count = Trainer._count

    def stop(self, *arguments):
        count(self, *arguments)
        if self._result.steps == 8:
            raise KeyboardInterrupt

    config = make_config("checkpoint.every_steps=5")
    monkeypatch.setattr(Trainer, "_count", stop)
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path, candles=candles)
    monkeypatch.setattr(Trainer, "_count", count)
    run = train(config, tmp_path, candles=candles, resume=True)
    steps = [step for step, _ in scalars(tmp_path)["train/loss"]]
    assert steps == list(range(1, run.json("training_summary.json")["steps"] + 1))
