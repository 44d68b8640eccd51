"""Our own tokenizer passes the suite that plugins must pass."""

from __future__ import annotations

import numpy as np
import pytest

from marketgpt_core.tokens import VolatilityState
from marketgpt_tokenizer import MultiTaskTokenizer, OHLCTokenizer
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


class TestVolume(TokenizerConformance):
    @pytest.fixture
    def implementation(self) -> OHLCTokenizer:
        return OHLCTokenizer(OHLCTokenizer.Config(volume_bins=32))

    def decode_next(
        self, fitted: OHLCTokenizer, row: np.ndarray, state: VolatilityState, close: float
    ) -> dict[str, np.ndarray]:
        return fitted.decode(row[None], fitted.sigma(state), close, state)


class TestMultiTask(TokenizerConformance):
    @pytest.fixture
    def implementation(self) -> MultiTaskTokenizer:
        return MultiTaskTokenizer()
