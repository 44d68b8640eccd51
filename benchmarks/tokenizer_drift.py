"""What a vocabulary fixed at training time loses when the market moves on, and what refit and remapping gain.

The old tokenizer, and a token model of chained tables (gap given the body before, body given the gap, both
wicks given the body), are fitted on US stocks until 2006. Each scenario is another time or market: an earlier
part to adapt on, a later part to be scored on, which nothing has seen. For bins: how many tokens are still in
use (exp of the entropy), the share in the outermost ones, the CRPS of the law inside a token's bin, and the
density of candles under token shares counted on the adaptation part. For models, in nats a candle (density of
log moves; lower is better), against the old model left as it is:

* ``remapped``: new bins, the old model's tables remapped, nothing trained. ``by logits`` is what changing a
  network's embedding and output tables does, ``exactly`` what pushing its probabilities does.
* ``.., new shares``: the outputs' biases also follow the token shares of the adaptation part; once more
  nothing is trained. In old bins that takes no new tokenizer.
* ``.., adapted``: the same tables as prior of counts on the adaptation part: fine-tuning's stand-in.
* ``from scratch``: new bins, counts of the adaptation part alone.
* ``.. on 2,000``: the same with 2,000 candles of the adaptation part, for a market that is young.

Inside a bin the density is uniform, in an outermost one exponential with the bin's mean excess. What lies
within a thousandth of sigma of zero is one event with a mass: adjusted prices leave rounding where a move was
zero, and a bin of 1e-5 sigma around it would earn a density that nobody can use. Intervals: 95%, whole months
resampled. Run it with::

    uv run python benchmarks/tokenizer_drift.py --data ../shared/data
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from marketgpt_core import Candles
from marketgpt_data_sources import load_candles
from marketgpt_tokenizer import OHLCTokenizer
from marketgpt_tokenizer.bins import NUM_KNOTS, ChannelBins
from marketgpt_tokenizer.remap import ChannelRemap, refit_laws, remap

Floats = NDArray[np.float64]
Tables = list[Floats]

OLD_MARKET, OLD_UNTIL = "us", "2007-01-01"
# Category, start and end of the adaptation part, end of the scored part.
SCENARIOS = {
    "us, 2012 to 2014": ("us", "2010-01-01", "2012-01-01", "2015-01-01"),
    "us, 2008-07 to 2009": ("us", "2007-07-01", "2008-07-01", "2010-01-01"),
    "em, from 2012": ("em", None, "2012-01-01", None),
    "fx, from 2013": ("fx", None, "2013-01-01", None),
    "crypto, from 2019": ("crypto", None, "2019-01-01", None),
}
# The channel each one is drawn given; the gap is drawn given the body of the candle before.
GIVEN = (1, 0, 1, 1)
# Pseudo-counts a row of a table: of the shares of all rows for a table from scratch, else of the prior table.
PSEUDO_COUNTS = 100.0
FEW = 2_000
# In sigma: nearer to zero than this is zero.
NEAR_ZERO = 1e-3


@dataclass(frozen=True)
class Rows:
    """Candles as tokens (N, 4), values (N, 4), sigma, dates (N,) and, as context, the body token before."""

    tokens: NDArray[np.int64]
    values: Floats
    sigma: Floats
    month: NDArray[np.int64]
    before: NDArray[np.int64]

    def sample(self, count: int) -> Rows:
        """Return so many of the rows, by chance."""
        pick = np.random.default_rng(0).permutation(len(self.tokens))[:count]
        return Rows(*(getattr(self, one.name)[pick] for one in fields(self)))

    def given(self, channel: int) -> NDArray[np.int64]:
        """Return the context's token of each row."""
        return self.tokens[:, GIVEN[channel]] if channel else self.before


def rows_of(tokenizer: OHLCTokenizer, candles: Candles, start: str | None, end: str | None) -> Rows:
    """Encode whole histories, so that sigma has warmed up, and keep the rows from start until end."""
    low = np.datetime64(start or "1900-01-01")
    high = np.datetime64(end or "2200-01-01")
    parts = []
    for series in candles.values():
        if len(series) < 3:  # noqa: PLR2004 - a row takes two candles, its context a third
            continue
        rows = tokenizer.encode(series)
        keep = np.flatnonzero((rows.time >= low) & (rows.time < high) & (np.arange(len(rows)) > 0))
        months = rows.time[keep].astype("datetime64[M]").astype(np.int64)
        parts.append(
            (rows.tokens[keep], rows.channels[keep], rows.sigma[keep], months, rows.tokens[keep - 1, 1])
        )
    tokens, values, sigma, month, before = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Rows(tokens.astype(np.int64), values.astype(float), sigma, month, before.astype(np.int64))


def log_law(bins: ChannelBins, tokens: NDArray[np.int64], values: Floats) -> Floats:
    """Return the log density inside the bin, per unit of sigma; not for what is near zero."""
    log_width = np.zeros(len(bins))
    log_width[1:-1] = np.log(np.diff(bins.edges))
    result = -log_width[tokens]
    for outer, edge in ((0, bins.edges[0]), (len(bins) - 1, bins.edges[-1])):
        middle = 0.5 * (bins.knots[outer, 1:] + bins.knots[outer, :-1])
        excess = max(float(np.abs(middle - edge).mean()), 1e-3)
        here = tokens == outer
        result[here] = -np.log(excess) - np.abs(values[here] - edge) / excess
    return result


def near_zero(bins: ChannelBins) -> Floats:
    """Return how much of each bin is near zero, shape (V,)."""
    low, high = bins.bounds(np.inf)
    low = np.maximum(low, 0.0) if not bins.atom else low  # a wick's atom begins at zero
    inside = np.minimum(high, NEAR_ZERO) - np.maximum(low, -NEAR_ZERO)
    return np.where(np.isfinite(high - low), np.maximum(inside, 0.0) / (high - low), 0.0)


def nats(tokenizer: OHLCTokenizer, rows: Rows, tables: Tables) -> Floats:
    """Return the cost of each candle under tables of P(token | context), shape (N,), in nats of log moves.

    A table of one row knows no context.
    """
    cost = np.zeros(len(rows.tokens))
    for channel, (bins, table) in enumerate(zip(tokenizer.bins, tables, strict=True)):
        tokens, values = rows.tokens[:, channel], rows.values[:, channel]
        context = rows.given(channel) if len(table) > 1 else np.zeros(len(tokens), dtype=np.int64)
        density = np.log(table[context, tokens]) + log_law(bins, tokens, values) - np.log(rows.sigma)
        mass = np.log(table @ near_zero(bins))[context]
        cost -= np.where(np.abs(values) < NEAR_ZERO, mass, density)
    return cost


def counted(tokenizer: OHLCTokenizer, rows: Rows, prior: Tables | None = None) -> Tables:
    """Return tables of P(token | context), counted over a prior table or over the channel's shares."""
    tables = []
    sizes = tokenizer.vocab_sizes
    for channel, size in enumerate(sizes):
        contexts = sizes[GIVEN[channel]]
        flat = rows.given(channel) * size + rows.tokens[:, channel]
        counts = np.bincount(flat, minlength=contexts * size).reshape(contexts, size).astype(float)
        shares = (counts.sum(axis=0) + 1.0) / (counts.sum() + size)
        base = shares if prior is None else prior[channel]
        tables.append((counts + PSEUDO_COUNTS * base) / (counts.sum(axis=1, keepdims=True) + PSEUDO_COUNTS))
    return tables


def pushed(tables: Tables, remaps: tuple[ChannelRemap, ...]) -> Tables:
    """Return the tables in new tokens: contexts mixed, probabilities pushed; unreached tails get a trace."""
    return [
        0.999 * remaps[GIVEN[k]].mixing @ table @ remaps[k].push + 0.001 / len(remaps[k].mixing)
        for k, table in enumerate(tables)
    ]


def softmax(logits: Floats) -> Floats:
    """Return probabilities along the last axis."""
    odds = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


def mixed_logits(tables: Tables, remaps: tuple[ChannelRemap, ...]) -> Tables:
    """Return the tables as a network with mixed embedding and output rows would give them."""
    return [
        softmax(remaps[GIVEN[k]].mixing @ np.log(table) @ remaps[k].mixing.T + remaps[k].shift)
        for k, table in enumerate(tables)
    ]


def law_crps(tokenizer: OHLCTokenizer, rows: Rows, rng: np.random.Generator) -> float:
    """Return the mean CRPS, in sigma, of the law inside each token's bin, summed over the channels."""
    pick = rng.permutation(len(rows.tokens))[:50_000]
    total = 0.0
    u = (np.arange(NUM_KNOTS - 1) + 0.5) / (NUM_KNOTS - 1)
    for channel, bins in enumerate(tokenizer.bins):
        knots = bins.knots[rows.tokens[pick, channel]]
        middle, true = 0.5 * (knots[:, 1:] + knots[:, :-1]), rows.values[pick, channel][:, None]
        total += float((2.0 * ((true < middle) - u) * (middle - true)).mean())
    return total


def use_of_bins(tokenizer: OHLCTokenizer, rows: Rows) -> dict[str, list[float]]:
    """Return by channel how many tokens are in use, and the share in the outermost bins."""
    used, outer = [], []
    for k, bins in enumerate(tokenizer.bins):
        share = np.bincount(rows.tokens[:, k], minlength=len(bins)) / len(rows.tokens)
        used.append(round(float(np.exp(-np.sum(share * np.log(np.maximum(share, 1e-12))))), 1))
        outer.append(round(float(share[-1] + (share[0] if bins.atom else 0.0)), 5))
    return {"tokens_in_use": used, "outermost_share": outer}


def compared(costs: dict[str, Floats], month: NDArray[np.int64], against: str) -> dict[str, Any]:
    """Return each mean, and its difference to one of them with an interval over months."""
    _, block = np.unique(month, return_inverse=True)
    sizes = np.bincount(block)
    rng = np.random.default_rng(0)
    draws = rng.integers(0, len(sizes), (2_000, len(sizes)))
    result = {}
    for name, cost in costs.items():
        sums = np.bincount(block, weights=cost - costs[against])
        differences = sums[draws].sum(axis=1) / sizes[draws].sum(axis=1)
        low, high = np.quantile(differences, (0.025, 0.975))
        result[name] = {
            "nats": round(float(cost.mean()), 4),
            "difference": round(float(sums.sum() / sizes.sum()), 4),
            "interval": [round(float(low), 4), round(float(high), 4)],
        }
    return result


def scenario(old: OHLCTokenizer, tables: Tables, candles: Candles, times: tuple[Any, ...]) -> dict[str, Any]:
    """Return what one other time or market makes of the old bins and the old model."""
    start, until, end = times
    new = old.refit(candles.between(start, until))
    laws = refit_laws(old, candles.between(start, until))
    remaps = remap(old, new, shares="old")
    rng = np.random.default_rng(0)
    before = {"old": rows_of(old, candles, start, until), "new": rows_of(new, candles, start, until)}
    after = {"old": rows_of(old, candles, until, end), "new": rows_of(new, candles, until, end)}
    few = before["new"].sample(FEW)
    logits = mixed_logits(tables, remaps)
    shifted = mixed_logits(tables, remap(old, new))
    shifted_old = mixed_logits(tables, remap(old, laws))
    old_shares, old_now, new_now = (
        [np.maximum(bins.mass[None], 1e-6) for bins in one.bins] for one in (old, laws, new)
    )
    costs = {
        "old shares": nats(old, after["old"], old_shares),
        "new shares, old bins": nats(old, after["old"], old_now),
        "new shares, new bins": nats(new, after["new"], new_now),
    }
    models = {
        "old, as it is": nats(old, after["old"], tables),
        "remapped exactly": nats(new, after["new"], pushed(tables, remaps)),
        "remapped by logits": nats(new, after["new"], logits),
        "old, new shares": nats(old, after["old"], shifted_old),
        "remapped by logits, new shares": nats(new, after["new"], shifted),
        "old, adapted": nats(old, after["old"], counted(old, before["old"], tables)),
        "old, new shares, adapted": nats(old, after["old"], counted(old, before["old"], shifted_old)),
        "remapped, adapted": nats(new, after["new"], counted(new, before["new"], logits)),
        "remapped, new shares, adapted": nats(new, after["new"], counted(new, before["new"], shifted)),
        "from scratch": nats(new, after["new"], counted(new, before["new"])),
        "old, new shares, on 2,000": nats(
            old, after["old"], counted(old, before["old"].sample(FEW), shifted_old)
        ),
        "remapped, new shares, on 2,000": nats(new, after["new"], counted(new, few, shifted)),
        "from scratch, on 2,000": nats(new, after["new"], counted(new, few)),
    }
    return {
        "candles": {"adapt": len(before["old"].tokens), "scored": len(after["old"].tokens)},
        "old_bins": use_of_bins(old, after["old"]),
        "new_bins": use_of_bins(new, after["new"]),
        "law_crps_sigma": {
            name: round(law_crps(one, rows, rng), 5)
            for name, one, rows in (
                ("old", old, after["old"]), ("new laws", laws, after["old"]), ("new", new, after["new"])
            )
        },
        "shares": compared(costs, after["old"].month, "old shares"),
        "models": compared(models, after["old"].month, "old, as it is"),
    }  # fmt: skip


def holds_in(models: dict[str, Any]) -> bool:
    """Whether remapping keeps a model usable: untrained, it is better in new bins than in its own."""
    return bool(models["remapped by logits, new shares"]["nats"] < models["old, new shares"]["nats"])


def main() -> int:
    """Print a table, or JSON, and return 0 if a remapped model is usable everywhere."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="Folder of Parquet files of daily candles.")
    parser.add_argument("--json", action="store_true", help="Print JSON.")
    options = parser.parse_args()
    candles = load_candles(f"parquet:{options.data}")
    markets = {
        name: candles.select([one.symbol for one in candles.values() if one.category.value == name])
        for name in {OLD_MARKET, *(market for market, *_ in SCENARIOS.values())}
    }
    old = OHLCTokenizer().fit(markets[OLD_MARKET].between(None, OLD_UNTIL))
    tables = counted(old, rows_of(old, markets[OLD_MARKET], None, OLD_UNTIL))
    found = {
        name: scenario(old, tables, markets[market], tuple(times))
        for name, (market, *times) in SCENARIOS.items()
    }
    holds = all(holds_in(one["models"]) for one in found.values())
    if options.json:
        print(json.dumps({"scenarios": found, "holds": holds}, indent=2))
        return 0 if holds else 1
    for name, one in found.items():
        print(f"\n{name}: {one['candles']}")
        for key in ("old_bins", "new_bins", "law_crps_sigma"):
            print(f"  {key}: {one[key]}")
        for part in ("shares", "models"):
            for arm, score in one[part].items():
                print(f"  {arm:32} {score['nats']:9.4f} {score['difference']:+8.4f} {score['interval']}")
    print(f"\nuntrained, the remapped model is better than the old one in its own bins everywhere: {holds}")
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
