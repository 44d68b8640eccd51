"""A model that goes on with other bins, which the tokenizer package makes."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from marketgpt_core import Run
from marketgpt_core.errors import RunError
from marketgpt_core.testing import make_candles
from marketgpt_models import load_forecaster
from marketgpt_models.cli import remap as remap_command
from marketgpt_models.remapped import TokenTables, remap_run, remapped_weights

remap_module = pytest.importorskip("marketgpt_tokenizer.remap")


@pytest.fixture(scope="module")
def run(write_run, tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("remap") / "run")


def written(folder, old, new):
    new.save(folder / "new.json")
    tables = folder / "tables.safetensors"
    remap_module.write_remap(remap_module.remap(old, new), tables, old=old, new=new)
    return {"tokenizer": folder / "new.json", "tables": tables}


@pytest.fixture(scope="module")
def finer(tokenizer, tmp_path_factory):
    """The same candles in more bins."""
    options = {"gap_bins": 16, "body_bins": 16, "up_bins": 8, "low_bins": 8}
    new = type(tokenizer)(tokenizer.Config(**options)).fit(make_candles(("AAA", "BBB"), num_candles=400))
    return new, written(tmp_path_factory.mktemp("finer"), tokenizer, new)


def test_the_same_bins_leave_the_model_as_it_was(run, tokenizer, candles, tmp_path):
    made = remap_run(run.path, **written(tmp_path, tokenizer, tokenizer), out=tmp_path / "same")
    before, after = (load_forecaster(one.path, num_passes=1) for one in (run, made))
    weights = after.module.state_dict()
    for name, tensor in before.module.state_dict().items():
        torch.testing.assert_close(weights[name], tensor, atol=1e-6, rtol=1e-5)
    asked = {"horizons": (1, 3), "as_of": ["2015-05-01"], "num_samples": 40}
    np.testing.assert_allclose(
        before.forecast(candles, **asked).quantiles, after.forecast(candles, **asked).quantiles, atol=1e-6
    )
    assert made.manifest["remapped_from"] == run.id


def test_it_forecasts_and_scores_in_the_new_tokens(run, finer, candles, tmp_path):
    new, files = finer
    made = load_forecaster(remap_run(run.path, **files, out=tmp_path / "new").path, num_passes=1)
    assert made.spec.vocab_sizes == new.vocab_sizes
    assert np.isfinite(made.forecast(candles, horizons=(1, 5), num_samples=20).quantiles).all()
    scores = made.token_scores(candles)
    assert np.isfinite(scores.log_density).all()
    assert tuple(scores.vocab_sizes) == new.vocab_sizes


def test_a_model_that_says_old_shares_says_new_ones(tokenizer, finer, build, spec):
    """Outputs that know no context: what the old candles' shares were become those of the new candles."""
    new, files = finer
    tables = TokenTables.read(files["tables"], old=tokenizer, new=new)
    weights = dict(build().state_dict())
    for k, bins in enumerate(tokenizer.bins):
        weights[f"candle_head.logits.{k}.weight"] = torch.zeros_like(
            weights[f"candle_head.logits.{k}.weight"]
        )
        weights[f"candle_head.logits.{k}.bias"] = torch.from_numpy(
            np.log(np.maximum(bins.mass, 1e-7))
        ).float()
    after = remapped_weights(weights, tables, spec)
    for k, bins in enumerate(new.bins):
        said = after[f"candle_head.logits.{k}.bias"].softmax(-1).numpy()
        np.testing.assert_allclose(said, bins.mass, atol=1e-4)


def test_embeddings_are_mixed_as_the_tables_say(tokenizer, finer, build, spec):
    new, files = finer
    tables = TokenTables.read(files["tables"], old=tokenizer, new=new)
    weights = build().state_dict()
    after = remapped_weights(weights, tables, spec)
    old_rows = weights["token_embedding.table.weight"].numpy()
    new_rows = after["token_embedding.table.weight"].numpy()
    first_old, first_new = spec.vocab_sizes[0], new.vocab_sizes[0]
    body = slice(first_new, first_new + new.vocab_sizes[1])
    expected = tables[1].mixing @ old_rows[first_old : first_old + spec.vocab_sizes[1]]
    np.testing.assert_allclose(new_rows[body], expected, atol=1e-6)
    assert torch.equal(after["continuous_input.weight"], weights["continuous_input.weight"])


@pytest.mark.parametrize("variant", ["market_gpt_multi", "lstm", "gru"])
def test_every_variant_of_ours_follows(variant, build, tokenizer, finer, spec):
    new, files = finer
    tables = TokenTables.read(files["tables"], old=tokenizer, new=new)
    weights = build(variant=variant).state_dict()
    after = remapped_weights(weights, tables, spec)
    assert after["candle_head.logits.3.weight"].shape[0] == new.vocab_sizes[3]
    assert weights.keys() == after.keys()


def test_the_recalibration_of_the_old_model_is_left_behind(run, finer, tmp_path):
    made = remap_run(run.path, **finer[1], out=tmp_path / "new")
    assert made.json("forecaster.json")["recalibration"] is None


def damaged(files, tmp_path, change):
    from safetensors import safe_open
    from safetensors.numpy import save_file

    with safe_open(files["tables"], framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    change(tensors, metadata)
    save_file(tensors, tmp_path / "bad.safetensors", metadata=metadata)
    return {**files, "tables": tmp_path / "bad.safetensors"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors, metadata: metadata.update(new="0" * 64), "was written for the new tokenizer 0000"),
        (lambda tensors, metadata: metadata.update(old="1" * 64), "was written for the old tokenizer 1111"),
        (lambda tensors, metadata: metadata.clear(), "was written for the old tokenizer of no name"),
        (lambda tensors, metadata: tensors.pop("body.shift"), "holds no body.shift of float64"),
        (
            lambda tensors, metadata: tensors.update({"gap.mixing": tensors["gap.mixing"][:-1]}),
            "holds no gap.mixing of float64",
        ),
        (
            lambda tensors, metadata: tensors.update({"up.mixing": 2 * tensors["up.mixing"]}),
            "the rows of up.mixing are no shares",
        ),
        (
            lambda tensors, metadata: tensors.update({"low.shift": tensors["low.shift"] * np.nan}),
            "low.shift holds numbers that are not finite",
        ),
    ],
)
def test_tables_that_do_not_fit_are_refused(change, message, run, finer, tmp_path):
    files = damaged(finer[1], tmp_path, change)
    with pytest.raises(RunError, match=message):
        remap_run(run.path, **files, out=tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_no_tables_at_all_and_a_folder_that_holds_a_run(run, finer, tmp_path):
    (tmp_path / "text").write_text("no tables")
    with pytest.raises(RunError, match="cannot be read as remap tables"):
        remap_run(run.path, **{**finer[1], "tables": tmp_path / "text"}, out=tmp_path / "new")
    with pytest.raises(RunError, match="cannot be read as remap tables"):
        remap_run(run.path, **{**finer[1], "tables": tmp_path / "none"}, out=tmp_path / "new")
    with pytest.raises(RunError, match="already holds a finished run"):
        remap_run(run.path, **finer[1], out=run.path)


def test_weights_of_another_kind_are_refused(spec):
    with pytest.raises(RunError, match="how its tables follow is not known"):
        remapped_weights({"some.weight": torch.zeros(1)}, (), spec)


def test_the_command(run, finer, tmp_path):
    arguments = [str(run.path), "--tokenizer", str(finer[1]["tokenizer"]), "--tables"]
    arguments += [str(finer[1]["tables"]), "--out", str(tmp_path / "new"), "--json"]
    result = CliRunner().invoke(remap_command, arguments)
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["remapped_from"] == run.id
    assert Run.open(tmp_path / "new").id == json.loads(result.output)["id"]
