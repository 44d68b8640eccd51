"""A batch spoiled on one rank is left out on all of them, and training goes on as one process would."""

from __future__ import annotations

import json

import pytest

from marketgpt_core.run import Run
from marketgpt_core.testing import make_candles
from marketgpt_data_sources.writing import write_parquet
from marketgpt_training import launch as launching

# The last window of one global batch: the last rank's last one, in its last micro-batch.
WORKER = """
import sys
from marketgpt_core.errors import MarketGPTError
from marketgpt_training import worker
from marketgpt_training.dataset import WindowDataset

plain = WindowDataset.epoch

def epoch(self, size, **where):
    rank, world = where.get("rank", 0), where.get("world_size", 1)
    for number, batch in enumerate(plain(self, size, **where), start=where.get("first_batch", 0) + 1):
        if (where["epoch"], number) == (2, 6) and rank == world - 1:
            batch["continuous"][-1] = float("nan")
        yield batch

WindowDataset.epoch = epoch
try:
    worker.main(sys.argv[1:])
except MarketGPTError as error:
    sys.exit(f"error: {error}")
"""


@pytest.fixture
def poisoned(monkeypatch, tmp_path, make_config):
    (tmp_path / "poisoned_worker.py").write_text(WORKER, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(launching, "WORKER", "poisoned_worker")
    candles = make_candles(("AAA", "BBB", "CCC"), num_candles=1_450, start="2014-01-01")
    write_parquet(candles, tmp_path / "candles")

    def train(name, processes, *overrides):
        config = make_config(
            f"data.source=parquet:{tmp_path / 'candles'}", "model.options.dropout=0.0", "loop.max_epochs=3",
            "optim.ema_decay=0.9", "checkpoint.every_steps=4", "evaluation.recalibrate=false", *overrides,
        )  # fmt: skip
        launching.launch(config, tmp_path / name, launching.Here(processes))
        run = Run.open(tmp_path / name)
        lines = (run.path / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
        rows = [row for row in map(json.loads, lines) if row["kind"] != "spoiled"]
        return run, {(row["kind"], row["step"]): row["loss"] for row in rows}

    return train


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_two_ranks_leave_out_and_go_back_as_one_process(poisoned):
    """In one piece the batch is seen before the step; in micro-batches after the first: it is rolled back."""
    one, expected = poisoned("one", 1, "engine={name='torch'}")
    assert one.json("training_summary.json")["spoiled"] == [[2, 6]]
    arms = {
        "one, rolled back": (1, 0, "loop.micro_batch_size=4"),
        "left out": (2, 1),
        "rolled back": (2, 3, "loop.micro_batch_size=2"),
    }
    for name, (processes, stage, *overrides) in arms.items():
        engine = f"engine={{name='deepspeed',options={{zero_stage={stage}}}}}"
        run, curve = poisoned(name, processes, engine, *overrides)
        assert run.json("training_summary.json")["spoiled"] == [[2, 6]], name
        kept = sorted(path.name for path in (run.path / "spoiled").iterdir())
        assert kept == [f"epoch-0002-batch-000006-rank-{rank:05d}.safetensors" for rank in range(processes)]
        assert curve == pytest.approx(expected, rel=1e-4), name
