"""The page and the tables of an evaluation: everything inside, whatever the words, wins and losses alike."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from rich.console import Console

from marketgpt_core.forecast import Forecast
from marketgpt_core.testing import make_candles
from marketgpt_training.evaluation.evaluate import evaluate
from marketgpt_training.evaluation.page import evaluation_page, write_page
from marketgpt_training.evaluation.table import results_tables


class TooWide:
    """A normal law twice as wide as the truth: it must lose everywhere."""

    model_id = "<b>too wide</b>"
    min_history = 1

    def forecast(self, candles, *, horizons, as_of=None, num_samples=200, seed=0):
        pairs = [(s, t) for t in as_of for s in candles if candles[s].time[0] <= t]
        steps = np.random.default_rng(seed).normal(0, 0.02, (len(pairs), num_samples, max(horizons)))
        return Forecast.from_paths(
            steps.cumsum(axis=-1), horizons=horizons, symbols=[s for s, _ in pairs],
            as_of=np.array([t for _, t in pairs]), close=np.ones(len(pairs)), model_id=self.model_id,
        )  # fmt: skip


@pytest.fixture(scope="module")
def results():
    walk = make_candles(("AAA", "BBB"), num_candles=900, seed=5)
    made = evaluate(TooWide(), walk, start="2018-01-01", horizons=(1, 5), every=2, num_samples=100).results
    channels = {"total": 9.1, "gap": 4.0, "body": 5.1}
    made["tokens"] = {
        "candles": 1_000,
        "training_candles": 5_000,
        "cross_entropy": {"model": channels, "uniform": channels, "unigram": channels, "bigram": channels},
        "top1": {
            name: {"total": 0.1, "gap": 0.1, "body": 0.1}
            for name in ("model", "uniform", "unigram", "bigram")
        },
        "against": {
            name: {"difference": 0.2, "low": 0.1, "high": 0.3, "verdict": "worse", "dm_t": 3.0, "dm_p": 0.01}
            for name in ("uniform", "unigram", "bigram")
        },
        "density": {"nats_a_candle": -11.5, "low": -11.6, "high": -11.4, "channels": {}},
    }
    return made


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self._skipped = [], "", False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._skipped = tag in {"script", "style"}

    def handle_endtag(self, tag):
        self._skipped = False

    def handle_data(self, data):
        self.words += "" if self._skipped else data


@pytest.fixture(scope="module")
def page(results):
    return Page(evaluation_page(results))


def test_the_page_needs_no_network(page):
    assert [attrs for _, attrs in page.tags if {"src", "href"} & set(attrs)] == []
    assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe"}


def test_every_picture_and_placeholder_is_filled(page):
    drawn = [attrs["id"] for tag, attrs in page.tags if attrs.get("class") == "plotly-graph-div"]
    assert drawn == ["forest", "time", "coverage", "pit", "reliability", "qlike", "qlike_forest"]
    assert "@@" not in page.words


def test_a_model_that_loses_is_said_to_lose(page):
    assert "Against GARCH(1,1)-t: worse at 1, 5 bars." in page.words
    assert "better" not in page.words.split("Density: CRPS")[1].split("CRPS of the model")[0]


def test_words_from_outside_are_escaped(page, results):
    assert "Evaluation of <b>too wide</b>" in page.words
    assert not [tag for tag, _ in page.tags if tag == "b"]
    named = copy.deepcopy(results)
    named["symbols"] = ["@@FOREST@@"]
    assert "@@FOREST@@" in Page(evaluation_page(named)).words


def test_the_page_is_written(results, tmp_path):
    write_page(results, tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_without_tokens_there_is_no_such_section(results):
    plain = {name: value for name, value in results.items() if name != "tokens"}
    assert "Cross-entropy" not in Page(evaluation_page(plain)).words


def test_tables_fit_80_columns_with_every_number_whole(results):
    many = copy.deepcopy(results) | {"symbols": [f"SYM{k:03d}" for k in range(400)]}
    many["horizons"]["42"] = many["horizons"]["5"]
    many["horizons"]["42"]["models"]["model"]["count"] = 52_000
    console = Console(width=80, record=True, file=open("/dev/null", "w", encoding="utf-8"))  # noqa: SIM115, PTH123
    console.print(results_tables(many))
    console.file.close()
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert "\u2026" not in text
    assert "and 392 more" in " ".join(text.split())
    for heading in ("Calibration", "Volatility", "Direction", "Tokens of 1,000 candles"):
        assert heading in text
    density = next(line for line in text.splitlines() if line.strip().startswith("42"))
    assert re.fullmatch(r"\s*42 52000 0\.\d{5}( \d\.\d{3}\*?){6} +-?\d\.\d{3}\s*", re.sub(" +", " ", density))
