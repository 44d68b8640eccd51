"""The multitask tokenizer: tokens as ohlc, targets beside them, and its file trusted in nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from marketgpt_core import Candles, ConfigError, DataError, registry
from marketgpt_core.testing import make_candles
from marketgpt_core.tokens import TargetTokenizer, load_tokenizer
from marketgpt_tokenizer import MultiTaskTokenizer, OHLCTokenizer

DATA = Path(__file__).parents[4] / "shared" / "data"


@pytest.fixture(scope="module")
def candles() -> Candles:
    return make_candles(("AAA", "BBB", "CCC"), num_candles=800)


@pytest.fixture(scope="module")
def fitted(candles: Candles) -> MultiTaskTokenizer:
    return MultiTaskTokenizer().fit(candles)


def test_it_is_ohlc_with_targets(fitted: MultiTaskTokenizer, candles: Candles) -> None:
    assert isinstance(fitted, TargetTokenizer)
    plain = OHLCTokenizer().fit(candles)
    assert not isinstance(plain, TargetTokenizer)
    ours, theirs = fitted.encode(candles["BBB"]), plain.encode(candles["BBB"])
    assert np.array_equal(ours.tokens, theirs.tokens)
    assert np.array_equal(ours.channels, theirs.channels)
    assert fitted.fingerprint() != plain.fingerprint()


def test_names_sizes_and_horizons() -> None:
    made = registry("tokenizer").create("multitask", {"range_bins": 5, "horizons": [2, 3]})
    assert isinstance(made, MultiTaskTokenizer)
    assert made.target_names == ("direction", "volatility", "range")
    assert made.target_sizes == (3, 8, 5)
    assert made.horizons == (2, 3)
    assert MultiTaskTokenizer().horizons == (1, 5, 10, 21, 42)


@pytest.mark.parametrize(
    ("horizons", "words"),
    [([5, 1], "must increase"), ([1, 1], "must increase"), ([0, 1], "greater than or equal to 1"), ([], "1")],
)
def test_horizons_that_make_no_sense_are_refused(horizons: list[int], words: str) -> None:
    with pytest.raises(ConfigError, match=f"horizons.*{words}"):
        registry("tokenizer").create("multitask", {"horizons": horizons})


def test_in_training_each_class_has_its_share(fitted: MultiTaskTokenizer, candles: Candles) -> None:
    classes = np.concatenate([fitted.horizon_targets(series) for series in candles.values()])
    for task, size in enumerate(fitted.target_sizes):
        for h in range(len(fitted.horizons)):
            found = classes[:, h, task]
            share = np.bincount(found[found >= 0], minlength=size) / (found >= 0).sum()
            assert share == pytest.approx(np.full(size, 1 / size), abs=0.005)


def test_direction_is_the_sign_of_large_moves(fitted: MultiTaskTokenizer, candles: Candles) -> None:
    series = candles["AAA"]
    rows, classes = fitted.encode(series), fitted.horizon_targets(series)
    z = np.log(rows.close[10:] / rows.close[:-10]) / (rows.next_sigma[:-10] * np.sqrt(10))
    found = classes[:-10, 2, 0]
    assert (found[z > 1.0] == 2).all()
    assert (found[z < -1.0] == 0).all()
    assert set(found[np.abs(z) < 0.1].tolist()) == {1}


def test_edges_come_from_the_training_part_only(candles: Candles) -> None:
    part = candles.between(None, "2017-01-01")
    later = {name: np.where(np.arange(800) < 600, 1.0, 3.0) for name in ("open", "high", "low", "close")}
    moved = Candles(
        replace(one, **{name: getattr(one, name) * factor for name, factor in later.items()})
        for one in candles.values()
    )
    assert moved["AAA"].time[600] > np.datetime64("2017-01-01")
    prints = {
        MultiTaskTokenizer().fit(given.between(None, "2017-01-01")).fingerprint()
        for given in (candles, moved)
    }
    assert prints == {MultiTaskTokenizer().fit(part).fingerprint()}
    assert MultiTaskTokenizer().fit(moved).fingerprint() not in prints


def test_short_training_parts_name_the_horizon() -> None:
    with pytest.raises(DataError, match="horizon 42: no training symbol has the 44 candles"):
        MultiTaskTokenizer().fit(make_candles(num_candles=40))
    short = MultiTaskTokenizer.Config(horizons=(1, 5))
    assert MultiTaskTokenizer(short).fit(make_candles(num_candles=40)).target_edges[0].shape == (2, 2)


def test_a_series_that_never_moves_has_targets_too(fitted: MultiTaskTokenizer) -> None:
    flat = make_candles(("F",), num_candles=100)["F"]
    ones = {name: np.full(100, 5.0) for name in ("open", "high", "low", "close")}
    still = Candles([replace(flat, **ones)])
    classes = fitted.horizon_targets(still["F"])
    assert set(classes[:50, :, 0].ravel().tolist()) == {1}
    assert set(classes[:50, :, 1:].ravel().tolist()) == {0}
    # Fitted on it, all edges are the one value there is; what moves lies above them.
    alone = MultiTaskTokenizer().fit(still)
    assert alone.horizon_targets(still["F"])[:50].min() >= 0


def test_before_fit_it_says_so(candles: Candles) -> None:
    with pytest.raises(DataError, match="not fitted"):
        MultiTaskTokenizer().horizon_targets(candles["AAA"])
    with pytest.raises(DataError, match="AAA: 1 candles; a target takes at least 2"):
        MultiTaskTokenizer().fit(candles).horizon_targets(candles["AAA"][:1])


def test_the_fingerprint_sees_the_targets(fitted: MultiTaskTokenizer, candles: Candles) -> None:
    edges = tuple(one.copy() for one in fitted.target_edges)
    edges[1][2, 3] += 1e-12
    prints = {
        fitted.fingerprint(),
        fitted.with_targets(edges).fingerprint(),
        MultiTaskTokenizer(MultiTaskTokenizer.Config(horizons=(1, 5, 10, 21))).fit(candles).fingerprint(),
        MultiTaskTokenizer(MultiTaskTokenizer.Config(volatility_bins=7)).fit(candles).fingerprint(),
    }
    assert len(prints) == 4


def test_edges_come_back_to_the_last_bit(fitted: MultiTaskTokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    fitted.save(path)
    loaded = load_tokenizer(path)
    assert isinstance(loaded, MultiTaskTokenizer)
    assert loaded.config == fitted.config
    assert loaded.fingerprint() == fitted.fingerprint()
    for ours, theirs in zip(fitted.target_edges, loaded.target_edges, strict=True):
        assert ours.tobytes() == theirs.tobytes()


def _edges(task: str) -> Callable[[dict[str, Any]], list[list[float]]]:
    return lambda content: content["targets"][task]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.pop("targets"), "targets: Field required"),
        (lambda content: content.update(kind="ohlc"), "kind: .*'multitask'"),
        (lambda content: content["targets"].pop("range"), "targets.range"),
        (lambda content: content["targets"].update(other=[[0.0]]), "no such key 'targets.other'"),
        (lambda content: _edges("range")(content).pop(), "range needs 7 edges for each of 5 horizons"),
        (lambda content: _edges("range")(content)[1].pop(), "range needs 7 edges for each of 5 horizons"),
        (lambda content: _edges("direction")(content)[0].append(9.0), "direction needs 2 edges"),
        (lambda content: _edges("direction")(content)[0].reverse(), "edges of direction decrease"),
        (lambda content: _edges("volatility")(content)[0].__setitem__(0, float("nan")), "finite"),
        (lambda content: _edges("volatility")(content)[0].__setitem__(0, "1"), "targets.volatility.0.0"),
        (lambda content: content["config"].update(horizons=[1, 5]), "for each of 2 horizons"),
        (lambda content: content["config"].update(horizons=[5, 1, 10, 21, 42]), "must increase"),
        (lambda content: content["config"].update(range_bins=9), "range needs 8 edges"),
        (lambda content: content["targets"].update(range=[[0.0] * 5_000] * 5), "targets.range.0"),
        (lambda content: content["channels"]["gap"]["mass"].pop(), "masses do not fit"),
    ],
)
def test_a_file_that_is_wrong_is_refused_in_one_line(
    fitted: MultiTaskTokenizer, tmp_path: Path, change: Callable[[dict[str, Any]], object], words: str
) -> None:
    content = json.loads(json.dumps(fitted.content()))
    change(content)
    path = tmp_path / "bad.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=words) as caught:
        MultiTaskTokenizer.load(path)
    assert "\n" not in str(caught.value)
    assert "bad.json" in str(caught.value)


def test_the_kinds_do_not_read_each_others_files(
    fitted: MultiTaskTokenizer, candles: Candles, tmp_path: Path
) -> None:
    fitted.save(tmp_path / "multi.json")
    OHLCTokenizer().fit(candles).save(tmp_path / "ohlc.json")
    with pytest.raises(DataError, match=r"multi\.json"):
        OHLCTokenizer.load(tmp_path / "multi.json")
    with pytest.raises(DataError, match=r"ohlc\.json"):
        MultiTaskTokenizer.load(tmp_path / "ohlc.json")


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real candles at {DATA}")
def test_on_real_candles_later_classes_stay_near_their_shares() -> None:
    """In units of sigma the classes of crypto until 2020 are still filled after it; raw ones would not be."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow", reason="pyarrow is an extra of this package")
    candles = Candles.from_frame(pd.read_parquet(DATA / "crypto.parquet"))
    fitted = MultiTaskTokenizer().fit(candles.between(None, "2020-01-01"))
    later = [fitted.horizon_targets(one) for one in candles.between("2020-01-01", None).values()]
    classes = np.concatenate(later)
    for task, size in enumerate(fitted.target_sizes):
        for h in range(len(fitted.horizons)):
            found = classes[:, h, task]
            share = np.bincount(found[found >= 0], minlength=size) / (found >= 0).sum()
            assert share.min() > 0.2 / size
            assert share.max() < 2.5 / size
