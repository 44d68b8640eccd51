"""What is too good to be true in an evaluation's results.

The other check, whether forecasts move when the future does, is
:func:`marketgpt_core.lookahead.assert_no_lookahead`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_SUSPICIOUS_ACCURACY = 0.55
_STANDARD_ERRORS = 3.0
_SUSPICIOUS_CRPS_RATIO = 0.90


def suspicions(horizons: Mapping[str, Any]) -> list[str]:
    """Return what in an evaluation's results is too good to be true, a sentence each.

    One bar ahead nobody is right 55% of the time, beyond chance (three standard errors, dates clustered) and
    beyond the base rate, nor beats GARCH-t's CRPS by a tenth: what does is a leak until proved otherwise.

    Args:
        horizons: The section ``horizons`` of the results.
    """
    if "1" not in horizons:
        return []
    found, entry = [], horizons["1"]
    scores = entry["models"]["model"]
    accuracy, ups, error = (
        scores[name] for name in ("direction_accuracy", "always_up_accuracy", "direction_standard_error")
    )
    base = max(ups, 1 - ups)
    if error is not None and accuracy > max(_SUSPICIOUS_ACCURACY, base + _STANDARD_ERRORS * error):
        found.append(
            f"direction one bar ahead is right {accuracy:.1%} of the time, a constant side {base:.1%}: "
            "a leak until proved otherwise"
        )
    against = entry["against"]["garch_t"]
    if against["high"] < _SUSPICIOUS_CRPS_RATIO:
        found.append(
            f"CRPS one bar ahead is {against['crps_ratio']:.3f} of GARCH-t's: a leak until proved otherwise"
        )
    return found
