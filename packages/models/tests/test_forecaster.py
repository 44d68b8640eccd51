import json
import threading

import numpy as np
import pytest

from marketgpt_core import Candles, ConfigError, DataError, Forecaster, RunError, registry
from marketgpt_core.symbols import Category
from marketgpt_core.testing import make_candles
from marketgpt_models import GPTForecaster, load_forecaster

DATES = ("2015-03-02", "2015-05-04", "2015-08-03")
FIELDS = ("quantiles", "p_up", "aleatoric", "epistemic", "close")


@pytest.fixture(scope="module")
def forecaster(write_run, tmp_path_factory):
    return load_forecaster(write_run(tmp_path_factory.mktemp("runs") / "run").path)


def forecast(forecaster, candles, **options):
    given = {"horizons": (1, 2, 3), "as_of": DATES, "num_samples": 40} | options
    return forecaster.forecast(candles, **given)


def same(one, other, **tolerance):
    assert one.symbols == other.symbols
    assert np.array_equal(one.as_of, other.as_of)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), err_msg=name, **tolerance)


def test_it_is_a_forecaster_that_names_its_run(forecaster):
    assert isinstance(forecaster, Forecaster)
    assert forecaster.model_id.startswith("market_gpt-")
    assert forecaster.min_history == 9


def test_rows_come_by_date_then_symbol(forecaster, candles):
    made = forecast(forecaster, candles)
    assert made.symbols == ("AAA", "BBB", "CCC") * 3
    assert np.array_equal(made.as_of, np.repeat(np.array(DATES, dtype="datetime64[ns]"), 3))
    one = candles["BBB"].until(DATES[1])
    assert made.close[4] == one.close[-1]
    assert made.data_fingerprint == candles.until(DATES[-1]).fingerprint()


def test_the_future_changes_nothing(forecaster, candles):
    """Candles after the last date replaced by wild ones, or cut off: the same forecast, to the last bit."""
    wild = make_candles(("AAA", "BBB", "CCC"), num_candles=160, daily_volatility=0.2, seed=9)
    cut = np.datetime64(DATES[-1])
    joined = []
    for symbol, one in candles.items():
        known, after = one.until(cut), wild[symbol].between(cut + np.timedelta64(1, "D"), None)
        factor = known.close[-1] / after.open[0]
        columns = {
            name: np.concatenate((getattr(known, name), getattr(after, name) * factor))
            for name in ("open", "high", "low", "close")
        }
        joined.append(
            type(one)(
                symbol=symbol, interval=one.interval, time=np.concatenate((known.time, after.time)),
                volume=np.concatenate((known.volume, after.volume)), category=one.category, **columns,
            )
        )  # fmt: skip
    made = forecast(forecaster, candles)
    same(made, forecast(forecaster, Candles(joined)), rtol=0, atol=0)
    same(made, forecast(forecaster, candles.until(DATES[-1])), rtol=0, atol=0)


def test_a_later_date_beside_it_changes_nothing(forecaster, candles):
    """Each date has only its own past: asking for more dates at once adds rows and alters none."""
    many = forecast(forecaster, candles)
    one = forecast(forecaster, candles, as_of=DATES[:1])
    same(one, many.rows(slice(0, 3)), rtol=1e-6, atol=1e-8)


def test_a_symbol_alone_gets_what_it_gets_in_company(forecaster, candles):
    together = forecast(forecaster, candles)
    alone = forecast(forecaster, candles.select(["BBB"]))
    same(alone, together.of("BBB"), rtol=1e-6, atol=1e-8)


def test_small_blocks_change_nothing(forecaster, candles, monkeypatch):
    made = forecast(forecaster, candles)
    monkeypatch.setattr("marketgpt_models.forecast_rows._ROWS_A_BLOCK", 2)
    # But for float32: other block sizes are other kernels of the matrix products.
    same(forecast(forecaster, candles), made, rtol=1e-5, atol=1e-7)


def test_the_past_does_change_it(forecaster, candles):
    made = forecast(forecaster, candles, as_of=DATES[:1])
    other = forecast(
        forecaster, make_candles(("AAA", "BBB", "CCC"), num_candles=160, seed=3), as_of=DATES[:1]
    )
    assert not np.allclose(made.quantiles, other.quantiles)


def test_without_dates_it_takes_each_symbols_last_candle(forecaster, candles):
    ragged = Candles([candles["AAA"], candles["BBB"][:100]])
    made = forecast(forecaster, ragged, as_of=None)
    assert made.symbols == ("BBB", "AAA")
    assert np.array_equal(made.as_of, [candles["BBB"].time[99], candles["AAA"].time[-1]])


def test_dates_that_mean_the_same_candle_give_one_row(forecaster, candles):
    made = forecast(forecaster, candles, as_of=("2015-05-01", "2015-05-02", "2015-05-03T12:00"))
    assert made.symbols == ("AAA", "BBB", "CCC")


def test_pairs_with_too_little_history_are_left_out(forecaster, candles):
    young = candles["BBB"][120:]
    made = forecast(forecaster, Candles([candles["AAA"], young]))
    assert made.symbols == ("AAA", "AAA", "AAA", "BBB")


def test_too_little_history_everywhere_says_how_much_it_takes(forecaster, candles):
    with pytest.raises(DataError, match=r"needs 9 candles .* the longest of 3 symbols has 8"):
        forecaster.forecast(Candles(one[:8] for one in candles.values()), horizons=(1,))
    assert len(forecaster.forecast(Candles(one[:9] for one in candles.values()), horizons=(1,))) == 3


@pytest.mark.parametrize("horizons", [(), (0, 1), (3, 1), (2, 2)])
def test_horizons_must_increase(forecaster, candles, horizons):
    with pytest.raises(ConfigError, match="horizons must increase"):
        forecast(forecaster, candles, horizons=horizons)


def test_no_dates_at_all_are_refused(forecaster, candles):
    with pytest.raises(ConfigError, match="names no date"):
        forecast(forecaster, candles, as_of=[])


def test_a_tokenizer_of_other_tokens_is_refused(build, spec, candles):
    other = registry("tokenizer").create("ohlc", {"gap_bins": 4}).fit(candles)
    with pytest.raises(RunError, match="the tokenizer has vocabularies"):
        GPTForecaster(build(), other, spec, context=16, model_id="x")


def test_the_seed_decides(forecaster, candles):
    made = forecast(forecaster, candles)
    same(made, forecast(forecaster, candles), rtol=0, atol=0)
    assert not np.array_equal(made.quantiles, forecast(forecaster, candles, seed=1).quantiles)


def test_threads_that_ask_at_once_get_the_same_answer(forecaster, candles):
    expected = forecast(forecaster, candles)
    answers = []
    threads = [
        threading.Thread(target=lambda: answers.append(forecast(forecaster, candles))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 3
    for answer in answers:
        same(answer, expected, rtol=1e-6, atol=1e-8)


def test_an_untrained_model_gives_a_sane_distribution(write_run, candles, tmp_path):
    """Driftless 1% days: centred on zero, spread growing like the root of time, wider in wilder markets."""
    calm = load_forecaster(write_run(tmp_path / "run", noise=0.0).path)
    made = calm.forecast(candles, horizons=(1, 3, 12), num_samples=400)
    median = made.quantile(0.5) / made.aleatoric
    assert np.abs(median).max() < 0.35
    assert np.abs(made.p_up - 0.5).max() < 0.12
    assert ((made.aleatoric[:, 2] / made.aleatoric[:, 0] > 2) & (made.aleatoric[:, 2] < 0.3)).all()
    wild = calm.forecast(
        make_candles(("AAA", "BBB", "CCC"), num_candles=160, daily_volatility=0.04), horizons=(1, 3, 12)
    )
    assert (wild.aleatoric[:, 0] > 2 * made.aleatoric[:, 0]).all()


def test_passes_disagree_and_one_pass_does_not(run_folder, candles):
    four = forecast(load_forecaster(run_folder, num_passes=4), candles, horizons=(1, 3))
    assert (four.epistemic > 0).all()
    assert (four.epistemic < four.aleatoric).all()
    one = forecast(load_forecaster(run_folder, num_passes=1), candles)
    assert not one.epistemic.any()


def test_what_is_mixed_can_be_chosen(run_folder, candles):
    made = {
        mix: forecast(load_forecaster(run_folder, mix=mix), candles, horizons=(1, 2), num_samples=400)
        for mix in ("paths", "heads", "mixture")
    }
    # No head answers for 2 bars: all three fall back to the paths.
    for mix in ("heads", "mixture"):
        np.testing.assert_allclose(made[mix].quantiles[:, 1], made["paths"].quantiles[:, 1])
    between = (made["paths"].p_up + made["heads"].p_up) / 2
    np.testing.assert_allclose(made["mixture"].p_up[:, 0], between[:, 0], atol=1e-9)
    assert not np.allclose(made["heads"].quantiles[:, 0], made["paths"].quantiles[:, 0])


def test_heads_alone_sample_no_paths(run_folder, candles, monkeypatch):
    steps = []
    from marketgpt_models import generation

    real = generation.sample_paths
    monkeypatch.setattr(
        generation, "sample_paths", lambda *a, **k: steps.append(k["num_steps"]) or real(*a, **k)
    )
    made = forecast(load_forecaster(run_folder, mix="heads"), candles, horizons=(1, 3))
    assert steps == [1]
    assert np.isfinite(made.quantiles).all()


def test_paths_are_kept_on_demand(run_folder, candles):
    made = forecast(load_forecaster(run_folder, keep_paths=True, mix="paths"), candles, num_samples=10)
    assert made.paths.shape == (9, 12, 3)  # rounded up to a multiple of the four passes
    ends = made.paths[:, :, 2]
    np.testing.assert_allclose(made.p_up[:, 2], (ends > 0).mean(axis=1))
    assert forecast(load_forecaster(run_folder), candles, num_samples=10).paths is None


def test_crypto_and_unknown_categories_are_forecast(forecaster):
    for category in (Category.CRYPTO, Category.UNKNOWN):
        made = forecaster.forecast(make_candles(num_candles=60, category=category), horizons=(1, 5))
        assert len(made) == 2


def test_wrong_options_are_refused(run_folder):
    with pytest.raises(ConfigError, match="did you mean 'num_passes'"):
        load_forecaster(run_folder, num_pases=3)
    with pytest.raises(ConfigError, match="mix"):
        load_forecaster(run_folder, mix="both")
    with pytest.raises(ConfigError, match="unknown device 'tpu'"):
        load_forecaster(run_folder, device="tpu")


def test_a_tampered_run_is_refused(run_folder):
    path = run_folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    for load in (load_forecaster, GPTForecaster.from_pretrained):
        with pytest.raises(RunError, match="not the file this run was sealed with"):
            load(run_folder)


def test_a_run_without_a_model_is_refused(run_folder):
    manifest = json.loads((run_folder / "manifest.json").read_text())
    del manifest["files"]["model.json"]
    (run_folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(RunError, match=r"has no model\.json"):
        load_forecaster(run_folder)


def test_a_path_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="no such folder"):
        load_forecaster(tmp_path / "nothing")


def test_odds_of_a_touch_come_from_the_paths_candles(run_folder, candles):
    forecaster = load_forecaster(run_folder, keep_paths=True, num_passes=1, mix="heads")
    made = forecaster.forecast(candles, horizons=(1, 3), num_samples=100)
    assert made.paths.shape == made.path_highs.shape == (3, 100, 3)
    assert (made.path_highs >= made.paths).all()
    assert (made.path_lows <= made.paths).all()
    up, down = made.probability_of_touch(0.02), made.probability_of_touch(-0.02)
    assert (up[:, 0] <= up[:, 1]).all()
    # A close up there was touched there.
    ended = (made.paths[:, :, [0, 2]] >= 0.02).mean(axis=1)
    assert (up >= ended).all()
    assert up.max() > 0 < down.max()
