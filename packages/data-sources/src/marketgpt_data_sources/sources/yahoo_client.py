"""yfinance's client, with what it leaves to its caller: a pace, and answers that are refused at once.

What yfinance 1.7 does that one must know, and what is done about it here:

* Its client is one object in the process, and a session passed once serves everybody: ours is its own.
* It answers a range that is over from a cache of 64 URLs, bad answers too: ours never does.
* It keeps a cookie, pickled, and time zones in the user's cache folder: ours keeps a cookie for the process
  and needs no time zone, for it is asked with moments, not with dates.
* After every status from 400 up it fetches another cookie and asks again: ours refuses the answer at once,
  except for 401 and 403, which a new cookie may heal.
* It tries again and again for a cookie it cannot get: ours tries once, for candles come without.
* It swallows errors and logs them: ``hide_exceptions`` is off, in the whole process, while a call runs.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import yfinance as yf
from yfinance import _http
from yfinance.data import YfData
from yfinance.exceptions import YFPricesMissingError
from yfinance.scrapers.history import PriceHistory

from marketgpt_data_sources.pacing.limiter import RateLimiter
from marketgpt_data_sources.pacing.retry import retry_after_s
from marketgpt_data_sources.sources.yahoo_answers import Refused, refusal, says_range_is_empty

# yfinance 1.7 uses what pandas 4 will remove, and shows that at every call; it is theirs to mend. For the
# whole process, because threads share the filters.
warnings.filterwarnings("ignore", category=DeprecationWarning, module=r"yfinance\.")

_CHART = "/v8/finance/chart/"
_UNAUTHORISED = frozenset({401, 403})
_ABOUT = ("exchangeTimezoneName", "instrumentType", "currentTradingPeriod")
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


@dataclass(frozen=True)
class Transport:
    """What a session does besides sending: it waits its turn and refuses answers without candles.

    Attributes:
        limiter: Waited for before every HTTP request.
        mirror: Address to send all requests to instead of Yahoo's hosts; None for Yahoo.
        now: The current time, to read a Retry-After that is a date.
    """

    limiter: RateLimiter
    mirror: str | None
    now: Callable[[], datetime]

    @property
    def is_loopback(self) -> bool:
        """Whether requests stay on this machine; no proxy is asked then."""
        return self.mirror is not None and urlsplit(self.mirror).hostname in _LOOPBACK

    def send(self, send: Callable[[str], Any], url: str) -> Any:  # noqa: ANN401 - either library's response
        """Send a request when its moment has come.

        Args:
            send: Sends to an address and returns the response.
            url: Where yfinance wants it sent.

        Raises:
            Refused: when it asked for candles and the answer has none.
        """
        self.limiter.wait()
        response = send(self._address(url))
        # libcurl counts the redirects it followed, requests keeps them: each was a request.
        redirects = getattr(response, "redirect_count", None)
        self.limiter.reserve(len(response.history) if redirects is None else redirects)
        status: int = response.status_code
        if _CHART in url and status >= HTTPStatus.BAD_REQUEST and status not in _UNAUTHORISED:
            raise refusal(status, response.text, retry_after_s(response.headers, self.now()))
        return response

    def _address(self, url: str) -> str:
        if self.mirror is None:
            return url
        parts = urlsplit(url)
        return self.mirror.rstrip("/") + parts.path + (f"?{parts.query}" if parts.query else "")


def paced(session: Any, transport: Transport) -> Any:  # noqa: ANN401 - a session of either library
    """Make a session of curl_cffi or of requests send through a transport, and return it."""
    sent = session.request

    def request(method: str, url: str, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401
        return transport.send(lambda address: sent(method, address, *arguments, **options), url)

    session.request = request
    if transport.is_loopback:
        session.trust_env = False
        if hasattr(session, "curl_options"):
            from curl_cffi import CurlOpt

            session.curl_options = {**(session.curl_options or {}), CurlOpt.NOPROXY: "*"}
    return session


class _Data(YfData):  # type: ignore[misc]  # yfinance is not typed
    """yfinance's client without a cache."""

    _cookieless = False

    def cache_get(self, url: str, params: Any = None, timeout: float = 30) -> Any:  # noqa: ANN401
        return self.get(url, params, timeout)

    def _load_cookie_curlCffi(self) -> bool:  # noqa: N802
        return False

    def _save_cookie_curlCffi(self) -> bool:  # noqa: N802
        # Called once a cookie came. The session keeps it; yfinance asks again until its file has one.
        self._cookie = True
        return True

    def _get_cookie_and_crumb(self, timeout: float = 30) -> tuple[str | None, str]:
        if self._cookieless:
            return None, self._cookie_strategy
        crumb = None
        try:
            crumb, strategy = super()._get_cookie_and_crumb(timeout)
            return crumb, strategy
        finally:
            self._cookieless = crumb is None


class _ErrorsShown:
    """yfinance's hide_exceptions is a setting of the process: off while any call of ours runs."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._before = True

    def __enter__(self) -> None:
        with self._lock:
            if self._calls == 0:
                self._before = yf.config.debug.hide_exceptions
                yf.config.debug.hide_exceptions = False
            self._calls += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls == 0:
                yf.config.debug.hide_exceptions = self._before


_ERRORS_SHOWN = _ErrorsShown()


class YahooClient:
    """Asks Yahoo for candles through yfinance; safe to use from several threads.

    Args:
        session: A session of curl_cffi or requests; None for what yfinance would use.
        transport: What it does besides sending.
    """

    def __init__(self, session: Any, transport: Transport) -> None:  # noqa: ANN401
        self._session = paced(_http.new_session() if session is None else session, transport)
        # Past yfinance's metaclass, which makes one instance for the process.
        self._data = type.__call__(_Data, self._session)

    def candles(
        self, symbol: str, *, start: datetime, end: datetime, interval: str, timeout_s: float
    ) -> tuple[pd.DataFrame, dict[str, Any]]:
        """Ask once, with one request for candles.

        Args:
            symbol: As Yahoo writes it.
            start: First moment, aware.
            end: Moment after the last, aware.
            interval: As Yahoo writes it.
            timeout_s: Of one HTTP request.

        Returns:
            yfinance's frame, unadjusted, indexed by local time, and what Yahoo says about the symbol:
            ``exchangeTimezoneName, instrumentType, currentTradingPeriod``. Both are empty when Yahoo knows
            the symbol and has no candle in the range.

        Raises:
            Exception: whatever yfinance and the session raise;
                :func:`marketgpt_data_sources.sources.yahoo_answers.meaning` says what it means.
        """
        # Its third argument, the symbol's time zone, turns dates into moments; we pass moments.
        history = PriceHistory(self._data, symbol, "UTC", session=self._session)
        try:
            with _ERRORS_SHOWN:
                frame = history.history(
                    start=start,
                    end=end,
                    interval=interval,
                    auto_adjust=False,
                    actions=False,
                    timeout=timeout_s,
                )
        except (Refused, YFPricesMissingError) as error:
            # Without a reason: Yahoo described the symbol and sent no candle, or did not answer at all.
            silent = getattr(error, "yahoo_reason", "") is None
            if says_range_is_empty(error) or (silent and "exchangeTimezoneName" in _about(history)):
                return pd.DataFrame(), {}
            raise
        return frame, {key: _about(history).get(key) for key in _ABOUT}


def _about(history: PriceHistory) -> dict[str, Any]:
    # The public get_history_metadata() may send requests of its own.
    found: dict[str, Any] = history._history_metadata or {}  # noqa: SLF001
    return found
