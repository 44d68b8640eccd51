"""The package's front: names, registry, and an import that loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import marketgpt_tokenizer
from marketgpt_core import ConfigError
from marketgpt_tokenizer import OHLCTokenizer, tokenizers


def test_our_own_comes_through_the_registry() -> None:
    assert "ohlc" in tokenizers().names()
    assert tokenizers().provider("ohlc").distribution == "marketgpt-tokenizer"
    made = tokenizers().create("ohlc", {"gap_bins": 16})
    assert isinstance(made, OHLCTokenizer)
    assert made.config.gap_bins == 16
    assert made.kind == "ohlc"


@pytest.mark.parametrize(
    "options",
    [{"gap_bins": 1}, {"tail_masses": [0.6]}, {"sigma_floor": 1e-9}, {"clip": 0.5}, {"warmup_bars": 0}],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=next(iter(options))):
        tokenizers().create("ohlc", options)


def test_public_names_exist() -> None:
    assert {getattr(marketgpt_tokenizer, name).__name__ for name in marketgpt_tokenizer.__all__}
    assert dir(marketgpt_tokenizer) == marketgpt_tokenizer.__all__
    with pytest.raises(AttributeError, match="no attribute 'Tokeniser'"):
        marketgpt_tokenizer.Tokeniser  # noqa: B018


def test_importing_the_front_loads_nothing_heavy() -> None:
    code = (
        "import sys, marketgpt_tokenizer, marketgpt_tokenizer.cli, marketgpt_tokenizer.plugin, "
        "marketgpt_tokenizer.registry as r; r.tokenizers().names(); "
        "print([m for m in ('numpy', 'pandas', 'pydantic', 'torch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_needs_neither_torch_nor_scipy() -> None:
    code = (
        "import sys; from marketgpt_core.testing import make_candles; "
        "from marketgpt_tokenizer import OHLCTokenizer; c = make_candles(num_candles=50); "
        "t = OHLCTokenizer().fit(c); t.decode(t.encode(c['AAA']).tokens, t.encode(c['AAA']).sigma, 1.0); "
        "print([m for m in ('torch', 'scipy', 'pyarrow.parquet') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
