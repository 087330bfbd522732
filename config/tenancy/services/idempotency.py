"""First answers, kept so that a repeated request gets the same one and does nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, cast

from django.db import connection, transaction

from config import clock
from config.tenancy.errors import IdempotencyConflict
from config.tenancy.models import IdempotencyRecord, Tenant

KEPT_FOR: Final = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered: an HTTP-like status, the JSON bytes, and whether it is a repeat."""

    status: int
    body: bytes
    replayed: bool = False


def fingerprint(*, path: str, body: bytes) -> bytes:
    """The digest by which two requests with one key are the same request."""
    return hashlib.sha256(path.encode("utf-8", "surrogateescape") + b"\0" + body).digest()


def once(*, tenant: Tenant, key: str, fingerprint: bytes, work: Callable[[], Answer]) -> Answer:
    """The answer of ``work``, which runs at most once for a tenant and key.

    The record and the work commit together: if ``work`` raises, nothing is kept and the request
    may be tried again. While one such request runs, a second waits for it, then gets its answer.
    IdempotencyConflict when the key already answered another request.
    """
    with transaction.atomic():
        while not _claim(tenant, key, fingerprint):
            # Without a row the first one was purged in this moment: claim again.
            record = IdempotencyRecord.objects.filter(tenant=tenant, key=key).first()
            if record is not None:
                return _replay(record, fingerprint)
        answer = work()
        IdempotencyRecord.objects.filter(tenant=tenant, key=key).update(
            status=answer.status, answer=answer.body
        )
        return answer


def purge(*, before: datetime | None = None) -> int:
    """Deletes the answers older than a day (or from before a moment); how many there were."""
    limit = before or clock.now() - KEPT_FOR
    deleted, _ = IdempotencyRecord.objects.filter(created_at__lt=limit).delete()
    return deleted


def _claim(tenant: Tenant, key: str, fingerprint: bytes) -> bool:
    # The primary key makes a concurrent claim wait here until this transaction ends.
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO tenancy_idempotencyrecord"
            " (tenant_id, key, fingerprint, answer, created_at) VALUES (%s, %s, %s, '', %s)"
            " ON CONFLICT (tenant_id, key) DO NOTHING",
            [tenant.pk, key, fingerprint, clock.now()],
        )
        return bool(cursor.rowcount)


def _replay(record: IdempotencyRecord, fingerprint: bytes) -> Answer:
    if bytes(record.fingerprint) != fingerprint:
        raise IdempotencyConflict
    # Never null in a row that others can see: it is set before the row commits.
    status = cast(int, record.status)
    return Answer(status, bytes(record.answer), replayed=True)
