import json
import os
import pickle

import pytest
import torch

from marketgpt_core import PluginError, RunError
from marketgpt_models import load_model
from marketgpt_models.testing import example_batch


@pytest.fixture
def load(run_folder, tokenizer):
    return lambda: load_model(run_folder, expected_tokenizer_fingerprint=tokenizer.fingerprint())


def edit(folder, **changes):
    path = folder / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_what_was_saved_comes_back(load, build, spec):
    variant, loaded_spec, module = load()
    assert loaded_spec == spec
    assert variant.config.context == 16
    assert not module.training
    batch = example_batch(spec)
    with torch.no_grad():
        assert float(module(batch)["loss"]) == float(build()(batch)["loss"])


def refused(load, match, error=RunError):
    with pytest.raises(error, match=match) as caught:
        load()
    assert "\n" not in str(caught.value)


def test_another_tokenizer_is_refused(run_folder):
    refused(lambda: load_model(run_folder, expected_tokenizer_fingerprint="f" * 64), "trained with tokenizer")


@pytest.mark.parametrize("keep", [0, 7, 400, -1])
def test_cut_off_weights_are_refused(load, run_folder, keep):
    path = run_folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:keep])
    refused(load, "not a safetensors file")


def test_weights_of_another_shape_are_refused(load, run_folder):
    content = json.loads((run_folder / "model.json").read_text())
    edit(run_folder, config=content["config"] | {"dim": 32})
    for _ in range(5):  # the first misfit in the model's order, not in the file's random one
        refused(load, r"embed\S*\.weight is torch.float32 \[.*16\], the model has .* \[.*32\]")


def test_a_description_of_a_giant_is_refused_before_it_is_built(load, run_folder):
    content = json.loads((run_folder / "model.json").read_text())
    edit(run_folder, config=content["config"] | {"dim": 1_000_000})
    refused(load, r"holds [\d,]+ numbers, .* describes [\d,]{15,}")


def test_loading_leaves_the_random_numbers_alone(load):
    torch.manual_seed(4)
    expected = torch.rand(3)
    torch.manual_seed(4)
    load()
    assert torch.equal(torch.rand(3), expected)


def test_missing_and_surplus_weights_are_refused(load, run_folder):
    content = json.loads((run_folder / "model.json").read_text())
    edit(run_folder, config=content["config"] | {"num_layers": 3})
    refused(load, "lacks blocks.2")
    edit(run_folder, config=content["config"] | {"num_layers": 1})
    refused(load, "holds blocks.1")


def test_weights_that_are_not_numbers_are_refused(load, run_folder):
    from safetensors.torch import load_file, save_file

    path = run_folder / "model.safetensors"
    tensors = load_file(path)
    tensors["final_norm.weight"][3] = float("nan")
    save_file(tensors, path)
    refused(load, "final_norm.weight holds numbers that are not finite")


def test_a_pickle_in_the_place_of_weights_is_not_run(load, run_folder, tmp_path):
    class Malicious:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    path = run_folder / "model.safetensors"
    path.write_bytes(pickle.dumps(Malicious()))
    refused(load, "not a safetensors file")
    torch.save({"weight": Malicious()}, path)
    refused(load, "not a safetensors file")
    assert not (tmp_path / "owned").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1, 2]", "is not a model"),
        ("{", "not JSON"),
        ('{"format": 1}', "it needs format, variant"),
    ],
)
def test_a_model_json_that_is_none_is_refused(load, run_folder, text, message):
    (run_folder / "model.json").write_text(text)
    refused(load, message)


def test_model_json_with_wrong_content_is_refused(load, run_folder):
    spec = json.loads((run_folder / "model.json").read_text())["spec"]
    edit(run_folder, spec=spec | {"vocab_sizes": []})
    refused(load, "describes no model")
    edit(run_folder, spec=spec | {"horizon_bins": {"horizons": [1, 3], "knots": [[0.0]]}})
    refused(load, "describes no model")
    edit(run_folder, spec=spec, config={"surprise": 1})
    refused(load, "surprise", Exception)
    edit(run_folder, config={}, variant="market_gtp")
    refused(load, "did you mean 'market_gpt'", PluginError)
    edit(run_folder, format=99)
    refused(load, "model format 99")


def test_missing_files_are_named(load, run_folder):
    (run_folder / "model.safetensors").unlink()
    refused(load, "cannot read .*model.safetensors")
    (run_folder / "model.json").unlink()
    refused(load, "cannot read .*model.json")
