"""What operators look at."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import DatabaseError, OperationalError, connection
from django.test import Client

from config import housekeeping
from config.operations import health
from config.operations.models import AuditEvent, HousekeepingTask

pytestmark = pytest.mark.django_db


def test_live(client: Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_tells_when_housekeeping_last_ran_and_does_not_depend_on_it(client: Client) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json()["housekeeping"] == {"last_run_at": None}
    assert [result for _, result in housekeeping.run() if isinstance(result, Exception)] == []
    assert client.get("/readyz").json()["housekeeping"]["last_run_at"] is not None


def test_ready_without_a_database(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", refuse)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["database"]) == (503, "unavailable")


def test_ready_with_pending_migrations(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "_is_migrated", lambda: False)
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["migrations"]) == (503, "pending")


def test_metrics_count_requests_and_may_ask_for_a_token(client: Client, settings: Any) -> None:
    client.get("/healthz")
    text = client.get("/metrics").content.decode()
    assert 'firebreak_request_seconds_count{method="GET",route="healthz",status="200"}' in text
    settings.METRICS_TOKEN = "secret"
    assert client.get("/metrics").status_code == 401
    wrong = client.get("/metrics", headers={"Authorization": "Bearer wrong"})
    assert wrong.status_code == 401
    right = client.get("/metrics", headers={"Authorization": "Bearer secret"})
    assert right.status_code == 200


def test_request_id_is_kept_when_sane(client: Client) -> None:
    kept = client.get("/healthz", headers={"X-Request-ID": "abc-1.2_3"})
    assert kept.headers["X-Request-ID"] == "abc-1.2_3"
    made = client.get("/healthz", headers={"X-Request-ID": "a b\n{}"})
    assert made.headers["X-Request-ID"] != "a b\n{}"


def test_task_that_fails_is_noted_and_others_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise ValueError("no")

    monkeypatch.setattr(housekeeping, "_tasks", {"bad": fail, "good": lambda: 3})
    results = dict(housekeeping.run())
    assert isinstance(results["bad"], ValueError)
    assert results["good"] == 3
    assert HousekeepingTask.objects.get(name="bad").last_error == "ValueError: no"
    assert HousekeepingTask.objects.get(name="good").last_count == 3


def test_logins_are_in_the_audit_log(client: Client) -> None:
    get_user_model().objects.create_superuser("ada", password="pass-word-1")
    client.post("/admin/login/", {"username": "ada", "password": "wrong"})
    client.post("/admin/login/", {"username": "ada", "password": "pass-word-1"})
    client.post("/admin/logout/")
    actions = AuditEvent.objects.order_by("created_at", "id").values_list("action", "actor")
    assert list(actions) == [("login failed", "ada"), ("login", "ada"), ("logout", "ada")]
    assert "wrong" not in json.dumps(list(AuditEvent.objects.values()), default=str)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE operations_auditevent SET action = ''",
        "DELETE FROM operations_auditevent",
        "TRUNCATE operations_auditevent",
    ],
)
def test_audit_log_is_append_only(statement: str) -> None:
    with pytest.raises(DatabaseError, match="is refused"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_housekeeping_goes_on_without_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> int:
        raise OperationalError("the database system is shutting down")

    def note(name: str, result: object) -> None:
        raise OperationalError("no note either")

    monkeypatch.setattr(housekeeping, "_tasks", {"first": away, "second": lambda: 3})
    monkeypatch.setattr(housekeeping, "_note", note)
    done = dict(housekeeping.run())

    assert [str(done[name]) for name in ("first", "second")] == [
        "the database system is shutting down",
        "no note either",
    ]
