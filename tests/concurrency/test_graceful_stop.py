"""Being told to stop: what was begun is finished, and then it stops."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any

import pytest
from django.db import connection, connections
from django.db.models import QuerySet

from incidents.models import Alert
from tests.factories.tenancy import TenantFactory, issue_key
from tests.servers import HOST, ROOT, database_url, free_port, granian, running

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 60.0


def eventually(check: Callable[[], Any], *, failing: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, failing
        time.sleep(0.05)


def waiting() -> int:
    """How many requests wait for the lock that the test holds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity "
            "WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        (count,) = cursor.fetchone()
    return int(count)


def test_server_that_is_told_to_stop_answers_what_it_has_begun() -> None:
    tenant = TenantFactory.create()
    _, plaintext = issue_key(tenant)
    port = free_port()
    environment = {"DATABASE_URL": database_url(connection.settings_dict), "DEBUG": "1"}
    statuses: list[int] = []

    def report(number: int) -> None:
        client = HTTPConnection(HOST, port, timeout=PATIENCE)
        client.request(
            "POST",
            "/api/v1/alerts/",
            b'{"trigger_type": "a", "call_id": "%d"}' % number,
            {"Authorization": f"Bearer {plaintext}", "Content-Type": "application/json"},
        )
        statuses.append(client.getresponse().status)
        client.close()

    other = connections.create_connection("default")
    try:
        with running(granian(port), port, environment=environment) as server:
            with other.cursor() as cursor:
                cursor.execute("BEGIN")
                cursor.execute("LOCK TABLE incidents_alert IN SHARE MODE")
                senders = [threading.Thread(target=report, args=(n,)) for n in range(4)]
                for sender in senders:
                    sender.start()
                eventually(waiting, failing="no request arrived")
                time.sleep(1)  # the others are on their way
                server.process.send_signal(signal.SIGTERM)
                time.sleep(1)
                assert server.process.poll() is None
                cursor.execute("ROLLBACK")
            for sender in senders:
                sender.join(PATIENCE)
            assert server.process.wait(PATIENCE) == 0
    finally:
        other.close()
    assert statuses == [201] * 4
    found: QuerySet[Alert] = Alert.objects.filter(tenant_id=tenant.pk)
    assert found.count() == 4


def test_housekeeping_that_is_told_to_stop_ends_after_its_round() -> None:
    process = subprocess.Popen(
        [sys.executable, "manage.py", "housekeeping", "--every", "3600"],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url(connection.settings_dict)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "login counts purged: 0" in process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    assert process.returncode == 0
    # The round that had begun was finished.
    assert "bundles retired: 0" in rest
