import numpy as np
import pytest
import torch

from marketgpt_core import ConfigError, DataError, Run, registry
from marketgpt_models import features_of, load_forecaster, save_model
from marketgpt_models.covariates import Covariates
from marketgpt_models.features import features_of_all
from marketgpt_models.heads import QuantileHead, TaskHead
from marketgpt_models.losses import pinball_loss, task_losses
from marketgpt_models.multitask_variant import QUANTILE_LEVELS
from marketgpt_models.testing import example_batch, example_spec

OPTIONS = {"num_layers": 1, "dim": 32, "num_heads": 2, "head_dim_candle": 16, "context": 16, "dropout": 0.2}
HORIZONS = (1, 3)
DATES = ("2015-03-02", "2015-05-04")


def build(spec, noise=0.0, **options):
    torch.manual_seed(0)
    module = registry("model").create("multitask", OPTIONS | options).build(spec).eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.add_(noise * torch.randn_like(weight))
    return module


def test_an_untrained_model_says_uniform_classes_and_normal_quantiles():
    spec = example_spec()
    module, batch = build(spec), example_batch(spec)
    result = module(batch)
    assert float(result["direction_nll"]) == pytest.approx(np.log(3))
    assert float(result["volatility_nll"]) == pytest.approx(np.log(5))
    assert float(result["task_nll"]) == pytest.approx(np.log([3, 5]).mean())
    quantiles = module.quantiles(module.encode(batch))
    expected = [-2.3263, -1.6449, -1.2816, -0.6745, 0.0, 0.6745, 1.2816, 1.6449, 2.3263]
    np.testing.assert_allclose(quantiles[0, 0, 0].detach(), expected, atol=1e-4)


def test_the_loss_is_what_its_config_says():
    spec, batch = example_spec(), example_batch(example_spec())
    result = build(spec, noise=0.1, horizon_weight=0.3, task_weight=0.5, quantile_weight=2.0)(batch)
    expected = (
        result["nll"] + 0.3 * result["horizon_nll"] + 0.5 * result["task_nll"] + 2.0 * result["pinball"]
    )
    torch.testing.assert_close(result["loss"].detach(), expected)
    assert not any(value.requires_grad for name, value in result.items() if name != "loss")


def test_beside_its_tasks_it_is_market_gpt():
    """Same weights, same candle: heads beside it change nothing of what is said of tokens."""
    spec, batch = example_spec(), example_batch(example_spec())
    module = build(spec, noise=0.1)
    plain = registry("model").create("market_gpt", OPTIONS).build(spec).eval()
    own = {name: value for name, value in module.state_dict().items() if name in plain.state_dict()}
    plain.load_state_dict(own)
    for name in ("nll", "horizon_nll", "nll_3"):
        assert float(module(batch)[name]) == float(plain(batch)[name])


def test_task_losses_count_only_the_targets_that_are_there():
    logits = [torch.zeros(1, 2, 2, 3), torch.zeros(1, 2, 2, 4)]
    logits[0][0, 0, 1, 2] = 50.0
    tasks = torch.tensor([[[[0, -1], [2, -1]], [[1, 3], [1, 3]]]])
    first = task_losses(logits, tasks, torch.tensor([[True, False]]))
    # Of task 0 one target is a coin of three, the other known; task 1 has none there.
    torch.testing.assert_close(first, torch.tensor([np.log(3) / 2, 0.0], dtype=torch.float32))
    both = task_losses(logits, tasks, torch.tensor([[True, True]]))
    expected = torch.tensor([np.log(3) * 3 / 4, np.log(4)], dtype=torch.float32)
    torch.testing.assert_close(both, expected)


def test_pinball_is_the_quantile_loss_and_a_missing_target_has_no_gradient():
    levels = torch.tensor([0.1, 0.5])
    said = torch.tensor([[[[1.0, 2.0]], [[5.0, 5.0]]]], requires_grad=True)
    z = torch.tensor([[[0.0], [torch.nan]]])
    loss = pinball_loss(said, z, torch.tensor([[True, True]]), levels)
    loss.backward()
    # Both are above what came: (1 - level) times the excess.
    assert float(loss.detach()) == pytest.approx((0.9 * 1.0 + 0.5 * 2.0) / 2)
    torch.testing.assert_close(said.grad[0, 0, 0], torch.tensor([0.45, 0.25]))
    assert bool((said.grad[0, 1] == 0).all())
    none = pinball_loss(said, z, torch.tensor([[False, False]]), levels)
    assert float(none.detach()) == 0.0


def test_pinball_is_least_at_the_true_quantiles():
    """Trained on draws of one law, the head finds its quantiles, tails included, and they never cross."""
    torch.manual_seed(0)
    head, levels = QuantileHead(1, 1, QUANTILE_LEVELS), torch.tensor(QUANTILE_LEVELS)
    rng = np.random.default_rng(0)
    draws = torch.from_numpy(rng.standard_t(4, 20_000) + 0.5).float()
    z, mask = draws[None, :, None], torch.ones(1, 20_000, dtype=torch.bool)
    optimiser = torch.optim.Adam(head.parameters(), lr=0.03)
    for _ in range(400):
        optimiser.zero_grad()
        pinball_loss(head(torch.ones(1, 20_000, 1)), z, mask, levels).backward()
        optimiser.step()
    said = head(torch.ones(1))[0].detach().numpy()
    np.testing.assert_allclose(said, np.quantile(draws.numpy(), QUANTILE_LEVELS), atol=0.12)


def test_quantiles_never_cross():
    torch.manual_seed(0)
    head = QuantileHead(8, 3, QUANTILE_LEVELS)
    said = head(30.0 * torch.randn(500, 8))
    assert said.shape == (500, 3, 9)
    assert float(said.diff(dim=-1).detach().min()) >= 0.0
    assert float(said.detach().std()) > 1.0


def test_tasks_are_split_by_their_sizes():
    logits = TaskHead(8, 2, (3, 5))(torch.randn(4, 6, 8))
    assert [one.shape for one in logits] == [(4, 6, 2, 3), (4, 6, 2, 5)]


def test_without_tasks_it_says_what_it_needs():
    plain = example_spec().model_dump() | {"task_names": (), "task_sizes": ()}
    spec = type(example_spec())(**plain)
    variant = registry("model").create("multitask")
    for ask in (variant.build, variant.num_parameters):
        with pytest.raises(ConfigError, match=r"needs a tokenizer with targets: tokenizer\.name=multitask"):
            ask(spec)
        with pytest.raises(ConfigError, match="needs horizons"):
            ask(example_spec(()))


def test_the_flattened_layout_is_refused():
    with pytest.raises(ConfigError, match="layout flattened is a reference arm"):
        registry("model").create("multitask", {"layout": "flattened"})


@pytest.fixture(scope="module")
def target_tokenizer(candles):
    if "multitask" not in registry("tokenizer").names():
        pytest.skip("the multitask tokenizer is not installed: pip install marketgpt-tokenizer")
    options = {"gap_bins": 8, "body_bins": 8, "up_bins": 4, "low_bins": 4, "horizons": HORIZONS}
    return registry("tokenizer").create("multitask", options).fit(candles)


@pytest.fixture(scope="module")
def module_and_spec(spec, target_tokenizer):
    values = spec.model_dump() | {
        "vocab_sizes": target_tokenizer.vocab_sizes,
        "task_names": target_tokenizer.target_names,
        "task_sizes": target_tokenizer.target_sizes,
    }
    whole = type(spec)(**values)
    return build(whole, noise=0.2), whole


@pytest.fixture(scope="module")
def forecaster(candles, target_tokenizer, module_and_spec, tmp_path_factory):
    module, spec = module_and_spec
    folder = tmp_path_factory.mktemp("multitask") / "run"
    folder.mkdir()
    target_tokenizer.save(folder / "tokenizer.json")
    config = registry("model").create("multitask", OPTIONS).config
    fingerprint = target_tokenizer.fingerprint()
    save_model(folder, "multitask", config, spec, module, tokenizer_fingerprint=fingerprint)
    Run.seal(folder, data_fingerprint=candles.fingerprint())
    return load_forecaster(folder)


def test_it_forecasts_as_any_other(forecaster, candles):
    made = forecaster.forecast(candles, horizons=(1, 2, 3), as_of=DATES, num_samples=40)
    assert made.symbols == ("AAA", "BBB", "CCC") * 2
    assert made.model_id.startswith("multitask-")


def test_classes_by_symbol_date_and_horizon(forecaster, candles):
    table = forecaster.tasks(candles, as_of=DATES)
    assert table["symbol"].tolist() == [s for _ in DATES for s in ("AAA", "BBB", "CCC") for _ in HORIZONS]
    assert table["horizon"].tolist() == list(HORIZONS) * 6
    assert table["as_of"].tolist() == [np.datetime64(day) for day in DATES for _ in range(6)]
    for task, size in (("direction", 3), ("volatility", 8), ("range", 8)):
        columns = [f"{task}_{c}" for c in range(size)]
        np.testing.assert_allclose(table[columns].sum(axis=1), 1.0, atol=1e-6)
        assert table[columns].to_numpy().std() > 1e-3
    assert len(table.columns) == 3 + 3 + 8 + 8


def test_classes_are_the_modules_own(candles, target_tokenizer, module_and_spec, forecaster):
    """One pass over a full context, by hand: the same probabilities, the same quantiles in log return."""
    module, spec = module_and_spec
    single = type(forecaster)(
        module, target_tokenizer, spec, context=16, model_id="m", config=forecaster.Config(num_passes=1)
    )
    one = candles["BBB"]
    features = features_of(target_tokenizer.encode(one), ())
    inputs = {
        "tokens": features.tokens[-16:],
        "continuous": features.continuous[-16:],
        "calendar": features.calendar[-16:],
        "asset": np.zeros(1, dtype=np.int64)[0],
        "category": np.zeros(1, dtype=np.int64)[0],
    }
    with torch.inference_mode():
        h = module.encode({name: torch.from_numpy(np.asarray(v)[None]) for name, v in inputs.items()})
        expected, z = module.task_probabilities(h[:, -1]), module.quantiles(h[:, -1]).numpy()
    table = single.tasks(candles, symbols=["BBB"], horizons=[3])
    np.testing.assert_allclose(
        table[["direction_0", "direction_1", "direction_2"]], expected["direction"][:, 1], atol=1e-5
    )
    np.testing.assert_allclose(table["range_7"], expected["range"][:, 1, 7], atol=1e-5)
    quantiles = single.quantiles(candles, symbols=["BBB"])
    scale = features.next_sigma[-1] * np.sqrt(HORIZONS)
    np.testing.assert_allclose(
        quantiles[["q010", "q500", "q990"]], z[0][:, [0, 4, 8]] * scale[:, None], atol=1e-6
    )


def test_the_future_changes_no_class(forecaster, candles):
    whole = forecaster.tasks(candles, as_of=DATES)
    assert whole.equals(forecaster.tasks(candles.until(DATES[-1]), as_of=DATES))


def test_passes_are_averaged_and_the_seed_decides(forecaster, candles):
    one, other = (forecaster.tasks(candles, seed=seed) for seed in (0, 1))
    assert one.equals(forecaster.tasks(candles, seed=0))
    assert not np.allclose(one["direction_0"], other["direction_0"], atol=1e-6)


def test_what_cannot_be_asked_is_named(forecaster, candles):
    with pytest.raises(ConfigError, match=r"has tasks at \[1, 3\] bars, not at 2"):
        forecaster.tasks(candles, horizons=[2])
    with pytest.raises(ConfigError, match="as_of names no date"):
        forecaster.quantiles(candles, as_of=[])
    with pytest.raises(DataError, match="needs 9 candles"):
        forecaster.tasks(candles, as_of=["2015-01-05"])


def test_targets_of_other_horizons_are_refused_in_one_line(target_tokenizer, candles):
    made = features_of_all(target_tokenizer, candles, HORIZONS, Covariates(()))
    assert made["AAA"].tasks.shape == (159, 2, 3)
    with pytest.raises(ConfigError, match=r"targets are \[1, 3\] bars ahead, the model's \[1, 5\]"):
        features_of_all(target_tokenizer, candles, (1, 5), Covariates(()))
