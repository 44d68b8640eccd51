from __future__ import annotations

import pytest

from marketgpt_monitoring.redaction import is_secret_name, redact


@pytest.mark.parametrize(
    "name",
    ["password", "smtp_password", "SMTPPassword", "api_key", "apiKey", "API-KEY", "x-auth-token", "passwd",
     "Authorization", "client_secret", "cookie", "aws_secret_access_key", "private key", "key"],
)  # fmt: skip
def test_names_of_secrets(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name", ["monkey", "author", "keyboard", "horizon", "model_id", "tokenizer", "symbol"]
)
def test_names_that_only_look_like_it(name):
    assert not is_secret_name(name)


def test_values_are_hidden_by_name_and_inside_urls():
    labels = {"api_key": "s3cret", "ledger": "postgresql://bob:hunter2@db/signals", "symbol": "AAPL"}
    assert redact(labels) == {"api_key": "***", "ledger": "postgresql://***@db/signals", "symbol": "AAPL"}
