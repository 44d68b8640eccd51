"""The checks by name, in the order they are reported."""

from __future__ import annotations

from marketgpt_data_sources.quality.check import Check, Severity

_REFUSE, _QUARANTINE, _REPORT = Severity.REFUSE, Severity.QUARANTINE, Severity.REPORT

CHECKS: dict[str, Check] = {
    check.name: check
    for check in (
        Check("no-date", _REFUSE, "without a date"),
        Check("not-finite", _REFUSE, "price is NaN or infinite"),
        Check("not-positive", _REFUSE, "price is zero or negative"),
        Check("impossible", _REFUSE, "high or low does not enclose the other prices"),
        Check("bad-volume", _REFUSE, "volume is negative or infinite"),
        Check("bad-adjustment", _REFUSE, "adjusted close cannot adjust"),
        Check("duplicate-equal", _QUARANTINE, "stamp given before, with equal values"),
        Check("duplicate-differing", _QUARANTINE, "stamp given more than once, with differing values"),
        Check("unfinished", _QUARANTINE, "candle has not ended yet"),
        Check("spike", _QUARANTINE, "price many times its surroundings, and back"),
        Check("disorder", _REPORT, "earlier than a row above it"),
        Check("split", _REPORT, "looks like a split that prices are not adjusted for"),
        Check("jump", _REPORT, "another level without trading to match: spin-off, splice, unit"),
        Check("stale", _REPORT, "the same candle again and again"),
        Check("shift", _REPORT, "stamps of another time zone"),
        Check("off-session", _REPORT, "candle when the exchange is closed"),
        Check("gap", _REPORT, "sessions without a candle"),
        Check("missing-bars", _REPORT, "holes inside sessions"),
    )
}
