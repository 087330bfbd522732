"""Keys: issuing, revoking, and knowing the caller by one."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final

from django.db import InterfaceError, OperationalError, connection, transaction

from config import clock
from config.actors import Actor
from config.database import replica, statements
from config.errors import FieldError, Invalid
from config.operations import audit
from config.tenancy.enums import Scope
from config.tenancy.errors import KeyNotFound, KeyRefused
from config.tenancy.models import ApiKey, Tenant
from config.tenancy.services import tenants

MAX_NAME: Final = 100
MAX_EXPIRES_IN_DAYS: Final = 3_650
# Knowing that a key is in use is worth one write in this long, not one per request.
LAST_USED_EVERY: Final = timedelta(minutes=5)

_ALPHABET: Final = string.ascii_letters + string.digits
_PREFIX_ALPHABET: Final = string.ascii_lowercase + string.digits
_PREFIX_LENGTH: Final = 10
_SECRET_LENGTH: Final = 43


def issue(
    *,
    by: Actor,
    tenant_id: str,
    name: str,
    scopes: Collection[str],
    expires_in_days: int | None = None,
) -> tuple[ApiKey, str]:
    """A new key of a tenant, which is created if it is new; the second item is the key itself.

    It is ``fb_<prefix>_<secret>`` and cannot be had again: only its digest is stored. Invalid,
    with pointers into these arguments, when one of them breaks a rule.
    """
    errors = _argument_errors(tenant_id, name, scopes, expires_in_days)
    if errors:
        raise Invalid(errors)
    now = clock.now()
    prefix = _random(_PREFIX_ALPHABET, _PREFIX_LENGTH)
    plaintext = f"fb_{prefix}_{_random(_ALPHABET, _SECRET_LENGTH)}"
    with transaction.atomic():
        tenant = tenants.ensure(tenant_id=tenant_id, at=now)
        key = ApiKey.objects.create(
            tenant=tenant,
            name=name,
            prefix=prefix,
            digest=_digest(plaintext),
            scopes=[scope for scope in Scope.values if scope in scopes],
            created_at=now,
            expires_at=now + timedelta(days=expires_in_days) if expires_in_days else None,
        )
        audit.record(
            "key issued",
            by=by,
            tenant_id=tenant.pk,
            target=f"key {prefix}",
            data={
                "name": name,
                "scopes": key.scopes,
                "expires_at": key.expires_at and key.expires_at.isoformat(),
            },
        )
    return key, plaintext


def revoke(*, by: Actor, prefix: str) -> ApiKey:
    """Revokes the key with this prefix, from now on; one that was revoked before stays so.

    KeyNotFound when no key has it.
    """
    if "\0" in prefix:
        raise KeyNotFound
    with transaction.atomic():
        valid = ApiKey.objects.filter(prefix=prefix, revoked_at=None)
        revoked = valid.update(revoked_at=clock.now())
        key = ApiKey.objects.select_related("tenant").filter(prefix=prefix).first()
        if key is None:
            raise KeyNotFound
        if revoked:
            audit.record(
                "key revoked",
                by=by,
                tenant_id=key.tenant_id,
                target=f"key {prefix}",
                data={"name": key.name},
            )
    return key


def authenticate(plaintext: str) -> ApiKey:
    """The usable key with its tenant, in one query; KeyRefused for anything else.

    Whatever is presented, the work is the same: one digest, one look-up by it.
    """
    now = clock.now()
    key = _find(_digest(plaintext))
    if key is None or not key.is_usable(at=now):
        raise KeyRefused
    if key.last_used_at is None or key.last_used_at < now - LAST_USED_EVERY:
        _note_use(key, now)
    return key


def _argument_errors(
    tenant_id: str, name: str, scopes: Collection[str], expires_in_days: int | None
) -> list[FieldError]:
    errors = []
    if detail := tenants.id_error(tenant_id):
        errors.append(FieldError("/tenant", detail))
    if not 1 <= len(name) <= MAX_NAME or not name.isprintable():
        errors.append(FieldError("/name", f"must be 1 to {MAX_NAME} printable characters"))
    known = ", ".join(Scope.values)
    if not scopes:
        errors.append(FieldError("/scopes", f"must name at least one of {known}"))
    errors += [
        FieldError("/scopes", f"{scope!r} is not one of {known}")
        for scope in scopes
        if scope not in Scope.values
    ]
    if expires_in_days is not None and not 1 <= expires_in_days <= MAX_EXPIRES_IN_DAYS:
        errors.append(
            FieldError("/expires_in_days", f"must be from 1 to {MAX_EXPIRES_IN_DAYS} days")
        )
    return errors


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))


def _digest(plaintext: str) -> bytes:
    # A key carries 256 random bits, so a fast digest is enough; a header may hold any byte.
    return hashlib.sha256(plaintext.encode("utf-8", "surrogateescape")).digest()


_KEY_FIELDS: Final = [field.attname for field in ApiKey._meta.concrete_fields]
_TENANT_FIELDS: Final = [field.attname for field in Tenant._meta.concrete_fields]
# By hand and prepared, because this runs before every request: the ORM takes longer to build the
# statement than the database to answer it, and the database longer to plan it than to run it.
_COLUMNS: Final = ", ".join(
    [f"k.{field.column}" for field in ApiKey._meta.concrete_fields]
    + [f"t.{field.column}" for field in Tenant._meta.concrete_fields]
)
_FIND: Final = (
    f"SELECT {_COLUMNS} FROM tenancy_apikey k"  # noqa: S608 (only names of columns go in)
    " JOIN tenancy_tenant t ON t.id = k.tenant_id WHERE k.digest = %s"
)
# With a replica, also where the primary's log is as the request arrives.
_FIND_AND_NOTE: Final = _FIND.replace(" FROM ", f", {replica.POSITION} FROM ", 1)


def _find(digest: bytes) -> ApiKey | None:
    find = _FIND_AND_NOTE if replica.is_configured() else _FIND
    try:
        rows = statements.run(find, [digest])
    except (OperationalError, InterfaceError):
        if connection.in_atomic_block:
            raise
        # The first statement of a request finds out whether the connection that was kept since
        # the last one still lives. If not, a new one is made, once.
        connection.close()
        rows = statements.run(find, [digest])
    # So Django need not ask the same by a query of its own.
    connection.health_check_done = True  # type: ignore[attr-defined]
    if not rows:
        return None
    split = len(_KEY_FIELDS)
    if find is _FIND_AND_NOTE:
        replica.note_arrival(int(rows[0][-1]))
    key = ApiKey.from_db("default", _KEY_FIELDS, rows[0][:split])
    key.tenant = Tenant.from_db("default", _TENANT_FIELDS, rows[0][split:][: len(_TENANT_FIELDS)])
    return key


def _note_use(key: ApiKey, now: datetime) -> None:
    # Of concurrent requests one writes; the others find it done and touch nothing.
    stale = ApiKey.objects.filter(pk=key.pk, last_used_at=key.last_used_at)
    stale.update(last_used_at=now)
    key.last_used_at = now
