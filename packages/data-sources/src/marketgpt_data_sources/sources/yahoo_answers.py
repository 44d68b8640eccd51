"""What Yahoo's answers without candles mean, and what yfinance's and the transport's errors mean."""

from __future__ import annotations

import json
from http import HTTPStatus

from yfinance.exceptions import YFDataException, YFException, YFPricesMissingError, YFRateLimitError

from marketgpt_core.errors import FetchReason

# What Yahoo says for a known symbol that has no candle in the range, and for a range that is too old.
_NOTHING_THERE = "Data doesn't exist for startDate"
_TOO_OLD = "must be within the last"
_TOO_MANY = frozenset({429, 999})  # 999 was Yahoo's own
_LONGEST_TEXT = 160
# By name, for curl_cffi may be missing: fewer bytes came than were announced, or not what they claim to be.
_HALF_ANSWERS = frozenset({"IncompleteRead", "ChunkedEncodingError", "ContentDecodingError"})
# The first that fits counts. Every transport error of requests and of curl_cffi is an OSError; the last row
# is what yfinance raises over an answer it did not expect.
_MEANINGS: tuple[tuple[tuple[type[Exception], ...], FetchReason, str], ...] = (
    ((YFRateLimitError,), FetchReason.THROTTLED, "Yahoo throttles"),
    ((YFDataException,), FetchReason.UNREACHABLE, "Yahoo is out of order"),
    ((json.JSONDecodeError,), FetchReason.BAD_ANSWER, "Yahoo answered with something other than JSON"),
    ((OSError,), FetchReason.UNREACHABLE, "Yahoo cannot be reached"),
    (
        (YFException, ValueError, LookupError, TypeError, AttributeError),
        FetchReason.BAD_ANSWER,
        "Yahoo's answer has an unknown form",
    ),
)


class Refused(Exception):  # noqa: N818 - becomes a FetchError once the symbol is known
    """An answer that holds no candles.

    Args:
        reason: Why.
        why: In a few words.
        retry_after_s: What the server asked to wait.
    """

    def __init__(self, reason: FetchReason, why: str, retry_after_s: float | None = None) -> None:
        super().__init__(why)
        self.reason = reason
        self.retry_after_s = retry_after_s


def refusal(status: int, text: str, wait_s: float | None) -> Refused:
    """Say what an answer of a status from 400 up means.

    Args:
        status: Of the answer.
        text: Its body.
        wait_s: Its Retry-After.
    """
    said = _description(text)
    if status in _TOO_MANY:
        return Refused(FetchReason.THROTTLED, f"Yahoo throttles (HTTP {status})", wait_s)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Refused(FetchReason.UNREACHABLE, f"Yahoo is out of order (HTTP {status})", wait_s)
    if _NOTHING_THERE in said or _TOO_OLD in said:
        return Refused(FetchReason.EMPTY, f"Yahoo says: {said}")
    if status == HTTPStatus.NOT_FOUND and "<html" not in text.casefold():
        return Refused(FetchReason.DELISTED, f"unknown to Yahoo or delisted ({said or 'HTTP 404'})")
    return Refused(FetchReason.BAD_ANSWER, f"Yahoo refuses (HTTP {status}: {said or 'no reason given'})")


def _description(text: str) -> str:
    """Return what the error in an answer says, in one short line; "" for an answer of another form."""
    try:
        description = json.loads(text)["chart"]["error"]["description"]
    except (ValueError, LookupError, TypeError):
        return ""
    return " ".join(str(description).split())[:_LONGEST_TEXT]


def says_range_is_empty(error: Exception) -> bool:
    """Whether Yahoo says that it knows the symbol and merely has no candle in the range."""
    return isinstance(error, Refused | YFPricesMissingError) and _NOTHING_THERE in str(error)


def meaning(error: Exception) -> tuple[FetchReason, str] | None:
    """Return why there are no candles and a few words; None for an error that is a defect of ours.

    Args:
        error: What :meth:`marketgpt_data_sources.sources.yahoo_client.YahooClient.candles` raised.
    """
    if isinstance(error, Refused):
        return error.reason, str(error)
    if isinstance(error, YFPricesMissingError):
        return _without_prices(error.yahoo_reason)
    name, text = type(error).__name__, " ".join(str(error).split())[:_LONGEST_TEXT]
    if name in _HALF_ANSWERS:
        return FetchReason.BAD_ANSWER, f"Yahoo sent half an answer ({name})"
    for kinds, reason, words in _MEANINGS:
        if isinstance(error, kinds):
            return reason, f"{words} ({name}: {text})"
    return None


def _without_prices(said: str | None) -> tuple[FetchReason, str]:
    if said is None:
        return FetchReason.BAD_ANSWER, "Yahoo's answer has no candles and does not say why"
    if "delisted" in said or "Not Found" in said:
        return FetchReason.DELISTED, f"unknown to Yahoo or delisted ({said})"
    return FetchReason.BAD_ANSWER, f"Yahoo says: {said}"
