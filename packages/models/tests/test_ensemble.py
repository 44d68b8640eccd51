import json

import numpy as np
import pytest
from click.testing import CliRunner

from marketgpt_core.errors import ConfigError, RunError
from marketgpt_models import load_forecaster
from marketgpt_models.cli import ensemble as ensemble_command
from marketgpt_models.ensemble import EnsembleForecaster, make_ensemble


@pytest.fixture(scope="module")
def runs(write_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    return [
        write_run(folder / str(number), noise=noise).path for number, noise in enumerate((0.1, 0.15, 0.2))
    ]


@pytest.fixture(scope="module")
def ensemble(runs, tmp_path_factory):
    return make_ensemble(runs, tmp_path_factory.mktemp("ensemble") / "run")


def test_it_forecasts_the_mixture_of_its_members(runs, ensemble, candles):
    asked = {"horizons": (1, 3), "as_of": ["2015-06-01"], "num_samples": 20}
    together = load_forecaster(ensemble.path, num_passes=1, mix="heads")
    assert isinstance(together, EnsembleForecaster)
    members = [load_forecaster(path, num_passes=1, mix="heads").forecast(candles, **asked) for path in runs]
    made = together.forecast(candles, **asked)
    assert made.symbols == members[0].symbols
    np.testing.assert_allclose(made.p_up, np.mean([one.p_up for one in members], axis=0))
    low, high = (np.max if top else np.min for top in (False, True))
    stacked = np.stack([one.quantiles for one in members])
    assert (made.quantiles >= low(stacked, axis=0) - 1e-12).all()
    assert (made.quantiles <= high(stacked, axis=0) + 1e-12).all()
    # One pass each: all the epistemic spread is disagreement between members.
    assert not any(one.epistemic.any() for one in members)
    assert (made.epistemic > 0).all()


def test_its_folder_is_a_sealed_run_that_notices_tampering(ensemble, candles, tmp_path):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(ensemble.path, copy)
    weights = copy / "members" / "01" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(RunError, match=r"model\.safetensors is not the file"):
        load_forecaster(copy)


def test_members_are_those_it_was_made_of(ensemble, tmp_path):
    """Somebody else's run in a member's place, the outer manifest sealed again: refused by its identity."""
    import shutil

    from marketgpt_core.run import Run

    copy = tmp_path / "copy"
    shutil.copytree(ensemble.path, copy)
    shutil.rmtree(copy / "members" / "01")
    shutil.copytree(copy / "members" / "02", copy / "members" / "01")
    Run.seal(copy, data_fingerprint="x")
    with pytest.raises(RunError, match="is the run"):
        load_forecaster(copy)


def test_the_command_makes_one(runs, candles, tmp_path):
    out = tmp_path / "made"
    done = CliRunner().invoke(ensemble_command, [*map(str, runs[:2]), "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    made = json.loads(done.output)
    assert made["members"] == 2
    assert made["model_id"] == load_forecaster(out).model_id


def test_one_run_is_no_ensemble(runs, tmp_path):
    with pytest.raises(ConfigError, match="2 to 64 runs, got 1"):
        make_ensemble(runs[:1], tmp_path / "x")
    with pytest.raises(ConfigError, match="the same run twice"):
        make_ensemble([runs[0], runs[0]], tmp_path / "x")


def test_a_finished_run_is_not_written_over(runs, ensemble):
    with pytest.raises(RunError, match="already holds a finished run"):
        make_ensemble(runs, ensemble.path)
