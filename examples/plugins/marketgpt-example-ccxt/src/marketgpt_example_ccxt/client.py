"""ccxt's client, set up for candles of spot markets: one request a call, no waiting of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from marketgpt_core.errors import ConfigError, FetchError, FetchReason, hint

# What an answer that is not what ccxt expects makes of its parsers.
GARBLED = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def make_client(exchange: str, *, timeout_s: float, mirror: str | None) -> Any:  # noqa: ANN401 - ccxt has no types
    """Return a client of an exchange.

    Args:
        exchange: As ccxt calls it: ``binance``, ``kraken``.
        timeout_s: Of one request.
        mirror: Address to ask instead of the exchange's hosts.

    Raises:
        ConfigError: for an exchange ccxt does not know, with the close match.
    """
    import ccxt  # takes a second, so not before somebody asks

    if exchange not in ccxt.exchanges:
        raise ConfigError(f"unknown exchange {exchange!r}; {hint(exchange, ccxt.exchanges)}")
    # The pace is ours: ccxt's own limiter would sleep on the real clock, and each client for itself.
    client = getattr(ccxt, exchange)({"enableRateLimit": False, "timeout": int(timeout_s * 1000)})
    client.options["defaultType"] = "spot"
    client.options["fetchMarkets"] = _spot_only(client.options.get("fetchMarkets"))
    # A page instead of JSON, or half an answer, ccxt reads as no candles at all: we look at it ourselves.
    client.enableLastJsonResponse = True
    # Currencies are another request, and say nothing about candles.
    client.has["fetchCurrencies"] = False
    if mirror is not None:
        client.urls["api"] = _moved(client.urls["api"], mirror)
    return client


def _spot_only(markets: object) -> object:
    """Return the option that names kinds of markets, a list or a section, with spot markets alone."""
    if isinstance(markets, list):
        return ["spot"] if "spot" in markets else markets
    if isinstance(markets, Mapping) and "spot" in markets.get("types", ()):
        return {**markets, "types": ["spot"]}
    return markets


def _moved(urls: object, mirror: str) -> object:
    if isinstance(urls, Mapping):
        return {name: _moved(url, mirror) for name, url in urls.items()}
    return re.sub(r"^https?://[^/]+", mirror.rstrip("/"), urls) if isinstance(urls, str) else urls


def spot_markets(client: Any) -> dict[str, dict[str, Any]]:  # noqa: ANN401
    """Ask for the spot markets: by ccxt's symbol, what ccxt says of them.

    Raises:
        FetchError: for an answer without any.
    """
    try:
        loaded = client.load_markets(reload=True)
        markets = {name: market for name, market in loaded.items() if market.get("spot")}
    except GARBLED as error:
        raise _garbled("the list of markets", error) from error
    if not markets:
        raise _garbled("the list of markets", "no spot market")
    return markets


def candles(client: Any, pair: str, timeframe: str, since_ms: int, limit: int) -> list[list[float]]:  # noqa: ANN401
    """Ask for one page of candles: rows of time in ms, open, high, low, close, volume, oldest first.

    Raises:
        FetchError: for an answer that is not candles.
    """
    client.last_json_response = None
    try:
        rows = [
            [float(value) for value in row[:6]]
            for row in client.fetch_ohlcv(pair, timeframe, since=since_ms, limit=limit)
        ]
    except GARBLED as error:
        raise _garbled(pair, error) from error
    said = client.last_json_response
    if said is None:
        raise _garbled(pair, "not JSON")
    if isinstance(said, list) and len(said) != len(rows):
        raise _garbled(pair, f"{len(said)} rows, of which {len(rows)} are candles")
    return sorted(rows, key=lambda row: row[0])


def _garbled(what: str, why: object) -> FetchError:
    text = " ".join(str(why).split())[:120]
    return FetchError(f"{what}: the answer has an unknown form ({text})", reason=FetchReason.BAD_ANSWER)


def reason_of(error: Exception) -> FetchReason | None:
    """Return what an error of ccxt means; None for one that is not ccxt's."""
    import ccxt

    # In this order: the classes are a hierarchy.
    meanings: list[tuple[tuple[type[Exception], ...], FetchReason]] = [
        ((ccxt.RateLimitExceeded, ccxt.DDoSProtection), FetchReason.THROTTLED),
        ((ccxt.BadSymbol,), FetchReason.DELISTED),
        ((ccxt.BadResponse,), FetchReason.BAD_ANSWER),
        ((ccxt.NetworkError, ccxt.RestrictedLocation), FetchReason.UNREACHABLE),
        ((ccxt.BaseError,), FetchReason.BAD_ANSWER),
    ]
    return next((reason for kinds, reason in meanings if isinstance(error, kinds)), None)
