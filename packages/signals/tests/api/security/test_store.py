from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from marketgpt_core.errors import ConfigError, DataError
from marketgpt_signals.api.security.keys import Scope, digest, split_text
from marketgpt_signals.api.security.store import KeyStore

NOW = datetime(2016, 2, 1, tzinfo=UTC)


@pytest.fixture
def store(ledger):
    return KeyStore(ledger.database)


def test_a_key_is_kept_without_its_secret(store, ledger):
    key, shown = store.create("desk 7", [Scope.BACKTEST, Scope.READ], NOW, NOW + timedelta(days=90))
    key_id, secret = split_text(shown)
    assert (key.id, key.secret_sha256) == (key_id, digest(secret))
    assert store.all() == store.active(NOW) == [key]
    with ledger.database.read() as connection:
        rows = connection.execute(text("SELECT * FROM api_keys")).all()
    assert len(rows) == 1
    assert secret not in str(rows)


def test_active_are_those_that_are_neither_expired_nor_revoked(store):
    lasting, _ = store.create("a", [Scope.READ], NOW)
    short, _ = store.create("b", [Scope.READ], NOW, NOW + timedelta(hours=1))
    taken, _ = store.create("c", [Scope.READ], NOW)
    assert store.revoke(taken.id, NOW).revoked_at == NOW
    assert [key.id for key in store.active(NOW)] == [lasting.id, short.id]
    assert [key.id for key in store.active(NOW + timedelta(hours=1))] == [lasting.id]
    assert [key.name for key in store.all()] == ["a", "b", "c"]
    # Taken back once is taken back: the first moment stays.
    assert store.revoke(taken.id, NOW + timedelta(days=1)).revoked_at == NOW


@pytest.mark.parametrize("key_id", ["0" * 16, "'; DROP TABLE api_keys; --", "", "\udcff" * 3])
def test_an_id_that_is_none_cannot_be_revoked(store, key_id):
    store.create("a", [Scope.READ], NOW)
    if key_id.isprintable():
        with pytest.raises(DataError, match="has no key"):
            store.revoke(key_id, NOW)
    assert len(store.active(NOW)) == 1


@pytest.mark.parametrize("name", ["", " ", "a\n", "a" * 101, "\x1b[31m", " a"])
def test_names_are_printable_and_short(store, name):
    with pytest.raises(ConfigError, match="of a key"):
        store.create(name, [Scope.READ], NOW)
    assert store.all() == []


def test_a_key_may_do_something_and_outlives_its_making(store):
    with pytest.raises(ConfigError, match="needs a scope: read, backtest, metrics"):
        store.create("a", [], NOW)
    with pytest.raises(ConfigError, match="has passed"):
        store.create("a", [Scope.READ], NOW, NOW)
    assert store.all() == []


def test_scopes_of_a_later_version_allow_nothing(store, ledger):
    key, _ = store.create("a", [Scope.READ], NOW)
    with ledger.database.write() as connection:
        connection.execute(text('UPDATE api_keys SET scopes = \'["everything", "read"]\''))
    assert store.active(NOW)[0].scopes == {Scope.READ}
    assert key.id == store.all()[0].id
