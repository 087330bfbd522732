from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest
from django.db import OperationalError, connection, transaction
from pytest_django.fixtures import DjangoAssertNumQueries

from config import clock
from config.actors import COMMAND_LINE
from config.database import statements
from config.errors import Invalid
from config.tenancy.enums import Scope
from config.tenancy.errors import KeyNotFound, KeyRefused
from config.tenancy.models import ApiKey, Tenant
from config.tenancy.services import keys
from tests.factories.tenancy import TenantFactory, issue_key


@pytest.mark.django_db
def test_issue_for_a_new_tenant() -> None:
    key, plaintext = keys.issue(
        by=COMMAND_LINE, tenant_id="acme-1", name="ingest", scopes=["read", "ingest"]
    )

    assert Tenant.objects.get().pk == "acme-1"
    assert re.fullmatch(rf"fb_{key.prefix}_[A-Za-z0-9]{{43}}", plaintext)
    stored = ApiKey.objects.get()
    assert bytes(stored.digest) == hashlib.sha256(plaintext.encode()).digest()
    assert (stored.name, stored.scopes) == ("ingest", ["ingest", "read"])
    assert (stored.expires_at, stored.revoked_at, stored.last_used_at) == (None, None, None)


@pytest.mark.django_db
def test_issue_for_a_known_tenant() -> None:
    tenant = TenantFactory.create(name="Kept")
    issue_key(tenant)
    issue_key(tenant)
    assert Tenant.objects.get().name == "Kept"
    assert ApiKey.objects.count() == 2


@pytest.mark.django_db
def test_issue_with_expiry() -> None:
    before = clock.now()
    key, _ = issue_key(expires_in_days=2)
    assert key.expires_at is not None
    assert before <= key.expires_at - timedelta(days=2) <= clock.now()


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"tenant_id": "Acme"}, "/tenant"),
        ({"tenant_id": ""}, "/tenant"),
        ({"tenant_id": "a" * 65}, "/tenant"),
        ({"tenant_id": "acme\n"}, "/tenant"),
        ({"name": ""}, "/name"),
        ({"name": "n" * 101}, "/name"),
        ({"name": "a\0b"}, "/name"),
        ({"scopes": []}, "/scopes"),
        ({"scopes": ["read", "write"]}, "/scopes"),
        ({"expires_in_days": 0}, "/expires_in_days"),
        ({"expires_in_days": 3_651}, "/expires_in_days"),
    ],
)
def test_issue_bad_argument(change: dict[str, object], pointer: str) -> None:
    arguments: dict[str, object] = {"tenant_id": "acme", "name": "n", "scopes": ["read"], **change}
    with pytest.raises(Invalid) as refused:
        keys.issue(by=COMMAND_LINE, **arguments)  # type: ignore[arg-type]
    assert [error.pointer for error in refused.value.errors] == [pointer]
    assert not Tenant.objects.exists()


@pytest.mark.django_db
def test_authenticate_in_one_statement(
    django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = TenantFactory.create(window_seconds=60)
    _, plaintext = issue_key(tenant, scopes=["read"])
    keys.authenticate(plaintext)

    ran: list[str] = []

    def run(statement: str, parameters: Any) -> list[Any]:
        ran.append(statement)
        return statements.run(statement, parameters)

    monkeypatch.setattr(keys, "statements", SimpleNamespace(run=run))
    with django_assert_num_queries(0):
        key = keys.authenticate(plaintext)
        assert len(ran) == 1
        assert key.tenant == tenant
        assert key.tenant.aggregation.window_seconds == 60
        assert key.scopes == [Scope.READ]


@pytest.mark.django_db
@pytest.mark.parametrize("presented", ["", "fb_", "fb_nothing_here", "\0", "\udcff", "x" * 10_000])
def test_authenticate_unknown_key(presented: str) -> None:
    with pytest.raises(KeyRefused):
        keys.authenticate(presented)


@pytest.mark.django_db
def test_authenticate_key_with_a_wrong_secret() -> None:
    _, plaintext = issue_key()
    with pytest.raises(KeyRefused):
        keys.authenticate(plaintext[:-1] + ("a" if plaintext[-1] != "a" else "b"))


@pytest.mark.django_db
def test_authenticate_revoked_key() -> None:
    key, plaintext = issue_key()
    keys.revoke(by=COMMAND_LINE, prefix=key.prefix)
    with pytest.raises(KeyRefused):
        keys.authenticate(plaintext)


@pytest.mark.django_db
def test_authenticate_expired_key() -> None:
    key, plaintext = issue_key(expires_in_days=1)
    keys.authenticate(plaintext)
    ApiKey.objects.filter(pk=key.pk).update(expires_at=clock.now())
    with pytest.raises(KeyRefused):
        keys.authenticate(plaintext)


@pytest.mark.django_db
def test_authenticate_notes_use_once_in_a_while() -> None:
    key, plaintext = issue_key()
    keys.authenticate(plaintext)
    first = ApiKey.objects.get(pk=key.pk).last_used_at
    assert first is not None

    keys.authenticate(plaintext)
    assert ApiKey.objects.get(pk=key.pk).last_used_at == first

    long_ago = first - keys.LAST_USED_EVERY - timedelta(seconds=1)
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=long_ago)
    keys.authenticate(plaintext)
    latest = ApiKey.objects.get(pk=key.pk).last_used_at
    assert latest is not None
    assert latest >= first


def end_backend_of_connection() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    parameters = connection.get_connection_params()
    wanted = {name: parameters[name] for name in ("dbname", "user", "host") if name in parameters}
    wanted |= {name: parameters[name] for name in ("password", "port") if name in parameters}
    with psycopg.connect(**wanted) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])


def test_authenticate_after_the_server_dropped_the_connection(committed_tenant: Tenant) -> None:
    _, plaintext = issue_key(committed_tenant)
    end_backend_of_connection()
    assert keys.authenticate(plaintext).tenant == committed_tenant


def test_authenticate_never_reconnects_inside_a_transaction(committed_tenant: Tenant) -> None:
    _, plaintext = issue_key(committed_tenant)
    keys.authenticate(plaintext)
    with pytest.raises(OperationalError), transaction.atomic():  # noqa: PT012 (the block is the case)
        end_backend_of_connection()
        keys.authenticate(plaintext)


@pytest.mark.django_db
def test_revoke_again_keeps_the_first_moment() -> None:
    key, _ = issue_key()
    other, _ = issue_key()
    first = keys.revoke(by=COMMAND_LINE, prefix=key.prefix)
    assert (
        keys.revoke(by=COMMAND_LINE, prefix=key.prefix).revoked_at == first.revoked_at is not None
    )
    assert ApiKey.objects.get(pk=other.pk).revoked_at is None


@pytest.mark.django_db
@pytest.mark.parametrize("prefix", ["", "nothing", "a\0b"])
def test_revoke_unknown_prefix(prefix: str) -> None:
    issue_key()
    with pytest.raises(KeyNotFound):
        keys.revoke(by=COMMAND_LINE, prefix=prefix)
