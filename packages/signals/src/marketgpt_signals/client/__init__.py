"""A typed client of the API: ``pip install "marketgpt-signals[client]"``."""

from __future__ import annotations

from marketgpt_signals.client.client import Client
from marketgpt_signals.client.errors import (
    ApiError,
    ConflictError,
    InvalidRequestError,
    KeyRefusedError,
    NoAnswerError,
    NotFoundError,
    RateLimitedError,
    ServerError,
)
from marketgpt_signals.client.stream import StreamedSignal

__all__ = [
    "ApiError",
    "Client",
    "ConflictError",
    "InvalidRequestError",
    "KeyRefusedError",
    "NoAnswerError",
    "NotFoundError",
    "RateLimitedError",
    "ServerError",
    "StreamedSignal",
]
