from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from marketgpt_signals.api.security.keys import ApiKey, Scope, digest, key_text, new_secret, split_text

NOW = datetime(2016, 2, 1, tzinfo=UTC)


def test_a_text_comes_apart_as_it_was_put_together():
    for _ in range(200):  # secrets hold - and _, too
        key_id, secret = new_secret()
        assert split_text(key_text(key_id, secret)) == (key_id, secret)


def test_secrets_have_256_bits_and_never_repeat():
    found = [new_secret() for _ in range(1_000)]
    assert len({secret for _, secret in found}) == len({key_id for key_id, _ in found}) == 1_000
    assert {len(secret) for _, secret in found} == {43}  # 32 bytes in base64


@pytest.mark.parametrize(
    "text",
    ["", "mgpt_", "x" * 64, "mgpt_0123456789abcdef_short", "MGPT_" + "0" * 16 + "_" + "A" * 43, "\x00"],
)
def test_what_is_no_key_is_nobodys(text):
    assert split_text(text) == ("0" * 16, "A" * 43)


def test_nothing_of_the_secret_is_kept_but_its_hash():
    _, secret = new_secret()
    assert digest(secret) == hashlib.sha256(secret.encode()).hexdigest()


def test_a_key_expires_at_its_moment_and_a_revoked_one_is_revoked():
    key = ApiKey("0" * 16, "desk", "0" * 64, frozenset({Scope.READ}), NOW, NOW + timedelta(days=1), None)
    assert key.state(NOW) == "active"
    assert key.state(NOW + timedelta(days=1) - timedelta(microseconds=1)) == "active"
    assert key.state(NOW + timedelta(days=1)) == "expired"
    assert replace(key, revoked_at=NOW).state(NOW) == "revoked"
    assert replace(key, expires_at=None).state(NOW + timedelta(days=10_000)) == "active"
    assert "secret_sha256" not in key.to_json(NOW)
