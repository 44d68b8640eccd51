"""Values that requests are made of. All of them are untrusted."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.config import JsonDict

from marketgpt_core.errors import DataError
from marketgpt_core.symbols import check_symbol
from marketgpt_signals.api.cursor import read_cursor

_CURSOR = "MjAxNi0wMS0wNFQwMDowMDowMCswMDowMHwx"  # 2016-01-04T00:00:00+00:00|1
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def _symbol(text: str) -> str:
    try:
        return check_symbol(text)
    except DataError as error:
        raise ValueError(str(error)) from None


def _iso_text(text: object) -> object:
    # pydantic would take "2016" for seconds since 1970, and answer a question nobody asked.
    if isinstance(text, str) and not _DATE.match(text):
        raise ValueError("write a date or time in ISO form: 2026-11-20 or 2026-11-20T15:30:00Z")
    return text


def _utc(moment: datetime) -> datetime:
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("the moment is out of range") from None


def _cursor(text: str) -> str:
    read_cursor(text)
    return text


# For who reads the schema; check_symbol has the last word.
_SHAPE: JsonDict = {"pattern": "^[A-Za-z0-9^][A-Za-z0-9.^=&_-]{0,31}$"}
Symbol = Annotated[
    str,
    AfterValidator(_symbol),
    Field(max_length=32, examples=["AAPL", "BTC-USD"], json_schema_extra=_SHAPE),
]
Utc = Annotated[datetime, AfterValidator(_utc)]
Moment = Annotated[datetime, BeforeValidator(_iso_text), AfterValidator(_utc)]
Cursor = Annotated[
    str,
    AfterValidator(_cursor),
    Field(max_length=128, description="next_cursor of the page before", examples=[_CURSOR]),
]


class Question(BaseModel):
    """The query of a request. A parameter that does not exist is an error, not ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)
