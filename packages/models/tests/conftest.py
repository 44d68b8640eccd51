import numpy as np
import pytest
import torch

from marketgpt_core import Run, registry
from marketgpt_core.testing import make_candles
from marketgpt_models import HorizonBins, InputSpec, features_of, save_model
from marketgpt_models.features import CALENDAR_SIZES, CONTINUOUS

HORIZONS = (1, 3)
OPTIONS = {"num_layers": 2, "dim": 16, "num_heads": 2, "head_dim_candle": 16, "context": 16, "dropout": 0.2}


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def candles():
    return make_candles(("AAA", "BBB", "CCC"), num_candles=160)


@pytest.fixture(scope="session")
def tokenizer(candles):
    if "ohlc" not in registry("tokenizer").names():
        pytest.skip("no tokenizer is installed: pip install marketgpt-tokenizer")
    return (
        registry("tokenizer")
        .create("ohlc", {"gap_bins": 8, "body_bins": 8, "up_bins": 4, "low_bins": 4})
        .fit(candles)
    )


@pytest.fixture(scope="session")
def spec(candles, tokenizer):
    z = np.concatenate([features_of(tokenizer.encode(one), HORIZONS).horizon_z for one in candles.values()])
    return InputSpec(
        vocab_sizes=tokenizer.vocab_sizes,
        num_continuous=len(CONTINUOUS),
        calendar_sizes=CALENDAR_SIZES,
        horizons=HORIZONS,
        horizon_bins=HorizonBins.fit(z, HORIZONS).to_json(),
    )


@pytest.fixture(scope="session")
def build(spec):
    """Build a small module with no weight left at zero: ``build(noise=0.1, variant=..., **options)``."""

    def make(noise=0.1, variant="market_gpt", **options):
        torch.manual_seed(0)
        known = registry("model").load(variant).Config.model_fields
        ours = {key: value for key, value in OPTIONS.items() if key in known}
        module = registry("model").create(variant, ours | options).build(spec).eval()
        with torch.no_grad():
            for weight in module.parameters():
                weight.add_(noise * torch.randn_like(weight))
        return module

    return make


@pytest.fixture(scope="session")
def write_run(candles, tokenizer, spec, build):
    """Write a sealed run: ``write_run(folder, noise=0.1, name="market_gpt", **options)``."""

    def write(folder, noise=0.1, name="market_gpt", **options):
        known = registry("model").load(name).Config.model_fields
        ours = {key: value for key, value in OPTIONS.items() if key in known}
        variant = registry("model").create(name, ours | options)
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer.save(folder / "tokenizer.json")
        save_model(
            folder,
            name,
            variant.config,
            spec,
            build(noise, name, **options),
            tokenizer_fingerprint=tokenizer.fingerprint(),
        )
        return Run.seal(folder, data_fingerprint=candles.fingerprint())

    return write


@pytest.fixture
def run_folder(write_run, tmp_path):
    return write_run(tmp_path / "run").path
