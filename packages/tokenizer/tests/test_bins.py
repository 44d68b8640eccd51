"""Quantile bins, the atom, the tails, the law inside a bin, and data that is too poor for them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from marketgpt_tokenizer.bins import ATOM, NUM_KNOTS, ChannelBins

TAILS = (0.01, 0.003, 0.001)


def normal(count: int = 100_000) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(count)


def test_bins_hold_equal_mass_and_the_tails_theirs() -> None:
    bins = ChannelBins.fit(normal(), num_bins=64, tail_masses=TAILS)
    assert len(bins) == 64 + 1 + 6
    assert bins.mass.sum() == pytest.approx(1.0)
    # Outermost inward: 0.1%, 0.2%, 0.7%, the rest of 1/64, then 1/64 each.
    assert bins.mass[:4] == pytest.approx([0.001, 0.002, 0.007, 1 / 64 - 0.01], abs=2e-4)
    assert bins.mass[-4:][::-1] == pytest.approx([0.001, 0.002, 0.007, 1 / 64 - 0.01], abs=2e-4)
    inner = np.delete(bins.mass, bins.atom)[4:-4]
    assert inner == pytest.approx(np.full(62, 1 / 64), rel=0.01)


def test_edges_are_the_quantiles_of_the_law() -> None:
    bins = ChannelBins.fit(normal(), num_bins=4, tail_masses=())
    # Quartiles of the standard normal, with the atom in the middle.
    assert bins.edges == pytest.approx([-0.6745, -ATOM, ATOM, 0.6745], abs=0.01)


def test_the_atom_holds_exact_zeros_and_nothing_else() -> None:
    values = np.concatenate([np.zeros(300), normal(700)])
    bins = ChannelBins.fit(values, num_bins=16, tail_masses=())
    assert bins.mass[bins.atom] == pytest.approx(0.3)
    assert (bins.knots[bins.atom] == 0.0).all()
    assert bins.encode(np.array([0.0, -0.0, 0.99e-9, -0.99e-9])).tolist() == [bins.atom] * 4
    assert bins.encode(np.array([-1e-8, 1e-8])).tolist() == [bins.atom - 1, bins.atom + 1]


def test_a_wick_has_no_negative_bins() -> None:
    bins = ChannelBins.fit(np.abs(normal()), num_bins=32, tail_masses=TAILS)
    assert len(bins) == 32 + 1 + 3
    assert bins.atom == 0
    assert (bins.knots >= 0).all()
    assert bins.mass[-1] == pytest.approx(0.001, abs=1e-4)


def test_tokens_are_ordered_by_value() -> None:
    bins = ChannelBins.fit(normal(), num_bins=64, tail_masses=TAILS)
    tokens = bins.encode(np.linspace(-6, 6, 1_001))
    assert (np.diff(tokens) >= 0).all()
    assert tokens[0] == 0
    assert tokens[-1] == len(bins) - 1


def test_knots_are_the_quantiles_inside_the_bin() -> None:
    values = normal(20_000)
    bins = ChannelBins.fit(values, num_bins=8, tail_masses=())
    token = 2
    inside = values[bins.encode(values) == token]
    assert bins.knots[token] == pytest.approx(np.quantile(inside, np.linspace(0, 1, NUM_KNOTS)))
    assert bins.knots[0, 0] == values.min()
    assert bins.knots[-1, -1] == values.max()


def test_the_law_inside_the_bins_keeps_the_moments() -> None:
    """Drawing from the law gives back variance and tail; the middle of a bin would lose both."""
    values = np.random.default_rng(5).standard_t(4, 200_000).clip(-20, 20)
    bins = ChannelBins.fit(values, num_bins=16, tail_masses=TAILS)
    position = np.random.default_rng(6).random(len(values)) * (NUM_KNOTS - 1)
    step = position.astype(int)
    knots = bins.knots[bins.encode(values)]
    rows = np.arange(len(values))
    drawn = knots[rows, step] + (position - step) * (knots[rows, step + 1] - knots[rows, step])
    assert drawn.var() == pytest.approx(values.var(), rel=0.02)
    assert np.quantile(drawn, 0.001) == pytest.approx(np.quantile(values, 0.001), rel=0.02)
    middle = bins.knots[bins.encode(values), NUM_KNOTS // 2]
    assert middle.var() < drawn.var()


def test_equal_values_share_a_bin() -> None:
    # A third of the mass sits on one value: it gets a bin of its own, the others keep theirs.
    values = np.concatenate([np.full(1_000, 0.5), np.abs(normal(2_000))])
    bins = ChannelBins.fit(values, num_bins=10, tail_masses=())
    tokens = bins.encode(values)
    assert len(set(tokens[:1_000])) == 1
    assert (np.bincount(tokens, minlength=len(bins))[1:] > 0).all()
    assert len(bins) < 12


@pytest.mark.parametrize(
    ("values", "tokens"),
    [
        (np.zeros(500), 1),  # a constant series: only the atom
        (np.full(500, 0.25), 2),  # one value
        (np.array([0.3]), 2),  # one candle
        (np.array([-0.3, 0.3]), 3),  # one on each side
        (np.linspace(0.1, 0.2, 20), 3),  # 20 values carry two bins of at least eight
        (np.concatenate([np.full(50, -1.0), np.full(50, 2.0)]), 3),
    ],
)
def test_poor_data_gives_few_bins(values: np.ndarray, tokens: int) -> None:
    bins = ChannelBins.fit(values, num_bins=64, tail_masses=TAILS)
    assert len(bins) == tokens == len(bins.edges) + 1
    assert bins.mass.sum() == pytest.approx(1.0)


def test_a_side_never_seen_falls_to_the_atom() -> None:
    bins = ChannelBins.fit(np.abs(normal(1_000)), num_bins=8, tail_masses=())
    assert bins.encode(np.array([-3.0])).tolist() == [bins.atom]


_values = st.floats(-20.0, 20.0) | st.sampled_from([0.0, 1e-12, 1e-8, -1e-8, 0.5, -0.5, 1.0, 20.0])


@given(
    values=hnp.arrays(np.float64, st.integers(1, 400), elements=_values),
    num_bins=st.integers(1, 80),
    seen_twice=st.integers(1, 40),
)
def test_every_knot_encodes_to_its_own_bin(values: np.ndarray, num_bins: int, seen_twice: int) -> None:
    bins = ChannelBins.fit(np.repeat(values, seen_twice), num_bins=num_bins, tail_masses=TAILS)
    assert (np.diff(bins.edges) > 0).all()
    assert (np.diff(bins.knots, axis=1) >= 0).all()
    # Also a little beside the knot: prices lose their last bits.
    for shift in (-1e-8, 0.0, 1e-8):
        near = np.where(bins.knots == 0.0, 0.0, bins.knots + shift)
        assert (bins.encode(near) == np.arange(len(bins))[:, None]).all()
    low, high = bins.bounds(20.0)
    own = bins.encode(values)
    assert ((low[own] <= values) & (values <= high[own])).all()


@given(
    edges=st.lists(st.floats(-20.0, 20.0), min_size=0, max_size=90, unique=True),
    narrow=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_the_table_of_cells_finds_what_a_search_finds(edges: list[float], narrow: bool, seed: int) -> None:
    cuts = np.array(sorted(edges)) * (1e-7 if narrow else 1.0)
    cuts = np.unique(cuts)
    bins = ChannelBins(cuts, np.zeros((len(cuts) + 1, NUM_KNOTS)), np.ones(len(cuts) + 1))
    rng = np.random.default_rng(seed)
    spread = rng.uniform(-25.0, 25.0, 600) * (1e-7 if narrow else 1.0)
    near = np.concatenate([cuts, np.nextafter(cuts, -np.inf), np.nextafter(cuts, np.inf), cuts + 1e-12])
    values = np.concatenate([spread, near, [-np.inf, np.inf, 0.0, -0.0, 1e200]])
    tokens = bins.encode(values)
    assert tokens.dtype == np.int16
    assert np.array_equal(tokens, np.searchsorted(cuts, values, side="right"))
    square = values[:600].reshape(20, 30)
    assert np.array_equal(bins.encode(square), tokens[:600].reshape(20, 30))
