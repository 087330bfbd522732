from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from config.tenancy.models import ApiKey, Tenant
from config.tenancy.services import keys
from tests.factories.tenancy import issue_key

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> list[str]:
    out = io.StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue().splitlines()


def test_issue_api_key_prints_the_key_last() -> None:
    lines = run("issue_api_key", "acme", "--scopes", "ingest, read", "--name", "cron")
    key = keys.authenticate(lines[-1])
    assert (key.tenant_id, key.name, key.scopes) == ("acme", "cron", ["ingest", "read"])
    assert key.expires_at is None


def test_issue_api_key_with_expiry() -> None:
    lines = run("issue_api_key", "acme", "--scopes", "read", "--expires-in-days", "7")
    key = keys.authenticate(lines[-1])
    assert key.expires_at is not None
    assert (key.expires_at - key.created_at).days == 7


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["ACME", "--scopes", "read"], "/tenant"),
        (["acme", "--scopes", "write"], "'write'"),
        (["acme", "--scopes", ","], "/scopes"),
        (["acme", "--scopes", "read", "--expires-in-days", "0"], "/expires_in_days"),
        (["acme"], "--scopes"),
    ],
)
def test_issue_api_key_refused(arguments: list[str], reason: str) -> None:
    with pytest.raises(CommandError, match=reason) as refused:
        run("issue_api_key", *arguments)
    assert "\n" not in str(refused.value)
    assert not Tenant.objects.exists()


def test_revoke_api_key() -> None:
    key, _ = issue_key()
    assert key.prefix in run("revoke_api_key", key.prefix)[0]
    assert ApiKey.objects.get().revoked_at is not None


def test_revoke_api_key_unknown() -> None:
    with pytest.raises(CommandError, match="no key with this prefix"):
        run("revoke_api_key", "nothing")
