from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from queue import Queue

import pytest
from django.db import connection

from config import clock
from config.tenancy.errors import IdempotencyConflict
from config.tenancy.models import IdempotencyRecord, Tenant
from config.tenancy.services import idempotency
from config.tenancy.services.idempotency import Answer
from tests.factories.tenancy import TenantFactory


def once(tenant: Tenant, work: Callable[[], Answer], *, body: bytes = b"{}") -> Answer:
    digest = idempotency.fingerprint(path="/api/v1/things/", body=body)
    return idempotency.once(tenant=tenant, key="k", fingerprint=digest, work=work)


def never() -> Answer:
    raise AssertionError("must not run again")


@pytest.mark.django_db
def test_once_repeated() -> None:
    tenant = TenantFactory.create()
    assert once(tenant, lambda: Answer(201, b'{"id":1}')) == Answer(201, b'{"id":1}')
    assert once(tenant, never) == Answer(201, b'{"id":1}', replayed=True)


@pytest.mark.django_db
def test_once_with_another_body() -> None:
    tenant = TenantFactory.create()
    once(tenant, lambda: Answer(201, b"1"))
    with pytest.raises(IdempotencyConflict):
        once(tenant, never, body=b"[]")


@pytest.mark.django_db
def test_once_of_another_tenant() -> None:
    once(TenantFactory.create(), lambda: Answer(201, b"1"))
    assert once(TenantFactory.create(), lambda: Answer(201, b"2")) == Answer(201, b"2")


@pytest.mark.django_db
def test_once_failed_keeps_nothing() -> None:
    tenant = TenantFactory.create()

    def fail() -> Answer:
        TenantFactory.create(id="made-by-the-work")
        raise LookupError

    with pytest.raises(LookupError):
        once(tenant, fail)
    assert not Tenant.objects.filter(id="made-by-the-work").exists()
    assert once(tenant, lambda: Answer(200, b"")) == Answer(200, b"")


def test_fingerprint_tells_path_from_body() -> None:
    assert idempotency.fingerprint(path="/a/", body=b"b") != idempotency.fingerprint(
        path="/a/b", body=b""
    )
    assert idempotency.fingerprint(path="/\udcff/", body=b"") is not None


@pytest.mark.parametrize("first_fails", [False, True])
def test_once_concurrently(first_fails: bool, committed_tenant: Tenant) -> None:
    tenant = committed_tenant
    started, finish = threading.Event(), threading.Event()
    answers: Queue[Answer] = Queue()

    def slow() -> Answer:
        started.set()
        assert finish.wait(20)
        if first_fails:
            raise LookupError
        return Answer(201, b"first")

    def first() -> None:
        try:
            answers.put(once(tenant, slow))
        except LookupError:
            answers.put(Answer(500, b""))
        finally:
            connection.close()

    def second() -> None:
        try:
            answers.put(once(tenant, lambda: Answer(201, b"second")))
        finally:
            connection.close()

    threads = [threading.Thread(target=first), threading.Thread(target=second)]
    threads[0].start()
    assert started.wait(20)
    threads[1].start()
    threads[1].join(0.3)
    assert threads[1].is_alive(), "the second must wait for the first"
    finish.set()
    for thread in threads:
        thread.join(20)

    results = {answers.get_nowait(), answers.get_nowait()}
    if first_fails:
        assert results == {Answer(500, b""), Answer(201, b"second")}
    else:
        assert results == {Answer(201, b"first"), Answer(201, b"first", replayed=True)}


@pytest.mark.django_db
def test_purge_after_a_day() -> None:
    tenant = TenantFactory.create()
    for key, age in (("new", timedelta(hours=23)), ("old", timedelta(hours=25))):
        idempotency.once(tenant=tenant, key=key, fingerprint=b"", work=lambda: Answer(200, b""))
        IdempotencyRecord.objects.filter(key=key).update(created_at=clock.now() - age)
    assert idempotency.purge() == 1
    assert IdempotencyRecord.objects.get().key == "new"
