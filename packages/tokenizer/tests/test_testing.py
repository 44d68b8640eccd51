"""Our own tokenizer passes the suite that plugins must pass."""

from __future__ import annotations

import pytest

from marketgpt_tokenizer import OHLCTokenizer
from marketgpt_tokenizer.testing import TokenizerConformance


class TestOHLC(TokenizerConformance):
    @pytest.fixture
    def implementation(self) -> OHLCTokenizer:
        return OHLCTokenizer()


class TestFewBins(TokenizerConformance):
    @pytest.fixture
    def implementation(self) -> OHLCTokenizer:
        return OHLCTokenizer(
            OHLCTokenizer.Config(gap_bins=2, body_bins=3, up_bins=1, low_bins=1, tail_masses=())
        )
