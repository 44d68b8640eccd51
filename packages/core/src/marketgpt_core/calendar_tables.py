"""The sessions exchange_calendars publishes, as arrays in UTC, for :mod:`marketgpt_core.calendars`."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from marketgpt_core.errors import ConfigError, hint

if TYPE_CHECKING:
    import pandas as pd

logger = logging.getLogger(__name__)

WEEKDAYS = "weekdays"
ALWAYS, BUSINESS_DAYS = "24/7", "24/5"
# Sessions are laid out for these years where an exchange's calendar is published for them.
FIRST, LAST = "1990-01-01", "2035-12-31"
# A few months that every calendar covers, to learn for which years one is published.
_COVERED = ("2022-01-03", "2022-03-31")
_BROKEN = (ArithmeticError, AttributeError, LookupError, NotImplementedError, TypeError, ValueError)
_FUTURES = frozenset({"CMES", "IEPA"})
_DAY = np.timedelta64(1, "D")


class Table(NamedTuple):
    """Sessions of an exchange; see :class:`marketgpt_core.calendars.TradingCalendar`."""

    days: NDArray[np.datetime64]
    opens: NDArray[np.datetime64]
    closes: NDArray[np.datetime64]


def canonical(name: str) -> str:
    """Return the name of a calendar, which may be given by an alias (``NYSE``).

    Raises:
        ConfigError: for an unknown name, with the close match.
    """
    if name in {WEEKDAYS, ALWAYS, BUSINESS_DAYS}:
        return name
    import exchange_calendars as library

    known = library.get_calendar_names(include_aliases=True)
    if name not in known:
        raise ConfigError(f"unknown trading calendar {name!r}; {hint(name, [*known, WEEKDAYS])}")
    return str(library.resolve_alias(name))


def sessions_of(name: str) -> Table:
    """Return the published sessions of a calendar, by its canonical name; none for ``weekdays``.

    Where the library fails there are none either, and the log says so.
    """
    if name == WEEKDAYS:
        none = np.empty(0, dtype="datetime64[ns]")
        return Table(none.astype("datetime64[D]"), none, none)
    if name in {ALWAYS, BUSINESS_DAYS}:
        # The same as the library's, without importing it.
        days = np.arange(np.datetime64(FIRST, "D"), np.datetime64(LAST, "D") + _DAY)
        return _whole_days(days if name == ALWAYS else days[np.is_busday(days)])
    with warnings.catch_warnings():
        # exchange_calendars 4.13 uses what pandas 4 will remove; it is theirs to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            calendar = _published(name)
        except _BROKEN as error:
            # With pandas 3, 4.13 cannot lay out Athens (Orthodox Easter) and Tel Aviv.
            logger.warning("%s: exchange_calendars fails (%s); weekdays are used", name, type(error).__name__)
            return sessions_of(WEEKDAYS)
        schedule = calendar.schedule
        days = schedule.index.to_numpy().astype("datetime64[D]")
        table = Table(days, _utc(schedule["open"]), _utc(schedule["close"]))
        return _by_trade_date(calendar, table) if name in _FUTURES else table


def _whole_days(days: NDArray[np.datetime64]) -> Table:
    return Table(days, days.astype("datetime64[ns]"), (days + _DAY).astype("datetime64[ns]"))


def _utc(moments: pd.Series) -> NDArray[np.datetime64]:
    utc: NDArray[np.datetime64] = moments.dt.tz_convert(None).to_numpy().astype("datetime64[ns]")
    return utc


def _published(name: str) -> Any:  # noqa: ANN401 - the library has no types
    import exchange_calendars as library
    import pandas as pd

    try:
        return library.get_calendar(name, start=FIRST, end=LAST, side="left")
    except ValueError:
        # Published for fewer years; only the class knows which. Few are, so the others are built but once.
        kind = type(library.get_calendar(name, start=_COVERED[0], end=_COVERED[1], side="left"))
        earliest, latest = kind.bound_min(), kind.bound_max()
        start = pd.Timestamp(FIRST) if earliest is None else max(earliest, pd.Timestamp(FIRST))
        end = pd.Timestamp(LAST) if latest is None else min(latest, pd.Timestamp(LAST))
        return library.get_calendar(name, start=start, end=end, side="left")


def _by_trade_date(futures: Any, table: Table) -> Table:  # noqa: ANN401 - the library has no types
    """Return a futures exchange's sessions by trade date, as vendors' daily candles have them.

    Two things differ from the library's table. On days the stock exchange of New York is shut (Thanksgiving,
    Independence Day) futures trade for some hours without a settlement; that trading counts to the next
    trade date. And the one early close of the library holds for no product in particular (on 29 November
    2024 it says 12:00 in Chicago, gold traded until 12:45): such a session ends at its regular hour here, so
    that no candle counts as known too early.
    """
    import pandas as pd

    closes = table.closes.copy()
    early = np.isin(table.days, futures.early_closes.to_numpy().astype("datetime64[D]"))
    _, regular = futures.close_times[-1]
    time_of_day = pd.Timedelta(hours=regular.hour, minutes=regular.minute)
    closes[early] = _utc((pd.Series(table.days[early]) + time_of_day).dt.tz_localize(futures.tz))
    new_york = sessions_of("XNYS").days
    settled = np.flatnonzero(np.isin(table.days, new_york))
    begun = np.concatenate([[0], settled[:-1] + 1])
    return Table(table.days[settled], table.opens[begun], closes[settled])
