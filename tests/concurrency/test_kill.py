"""Promise 7 the hard way: the server dies by SIGKILL in the middle of a flood."""

from __future__ import annotations

import http.client
import json
import threading
from collections import Counter
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from typing import Any

import pytest
from django.db import connection

from config.tenancy.models import Tenant
from incidents.models import Alert, Incident
from tests.factories.tenancy import bearer, issue_key
from tests.incidents.services.checks import assert_consistent
from tests.servers import HOST, Server, database_url, free_port, granian, running

pytestmark = pytest.mark.django_db(transaction=True)

CLIENTS = 4
REQUESTS = 240
KILL_AFTER = 80

Request = tuple[str, Any]


def _requests() -> list[Request]:
    """Single alerts and batches of a few, all of one kind, each call in one request."""
    requests: list[Request] = []
    for number in range(REQUESTS):
        calls = [
            {"trigger_type": "failure_spike", "call_id": f"call-{number}-{n}", "run_id": "run-1"}
            for n in range(1 + number % 4)
        ]
        requests.append(
            ("alerts/", calls[0]) if len(calls) == 1 else ("alerts/batch/", {"alerts": calls})
        )
    return requests


def _calls(request: Request) -> list[str]:
    _, body = request
    return [alert["call_id"] for alert in body.get("alerts", [body])]


def _send(
    server: Server, key: str, requests: Sequence[Request], *, kill_after: int | None = None
) -> tuple[list[tuple[Request, dict[str, Any]]], list[Request]]:
    """Sends requests over several connections; those answered, with the answers, and the others.

    With ``kill_after`` the server is killed when so many were answered.
    """
    waiting: SimpleQueue[Request] = SimpleQueue()
    for request in requests:
        waiting.put(request)
    answered: list[tuple[Request, dict[str, Any]]] = []
    unanswered: list[Request] = []

    def client() -> None:
        link = http.client.HTTPConnection(HOST, server.port, timeout=30)
        headers = {"Content-Type": "application/json", **bearer(key)}
        while True:
            try:
                request = waiting.get_nowait()
            except Empty:
                link.close()
                return
            path, body = request
            try:
                link.request("POST", f"/api/v1/{path}", json.dumps(body), headers)
                response = link.getresponse()
                answer = json.loads(response.read())
            except (OSError, http.client.HTTPException):
                link.close()
                unanswered.append(request)
                continue
            assert response.status in (200, 201), answer
            answered.append((request, answer))
            if kill_after is not None and len(answered) == kill_after:
                server.kill()

    threads = [threading.Thread(target=client) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answered, unanswered


def test_server_killed_in_mid_flood_loses_and_doubles_nothing() -> None:
    tenant = Tenant.objects.create(id="killed")
    _, key = issue_key(tenant)
    requests = _requests()
    environment = {"DATABASE_URL": database_url(connection.settings_dict)}
    port = free_port()

    with running(granian(port), port, environment=environment) as server:
        answered, unanswered = _send(server, key, requests, kill_after=KILL_AFTER)
    assert len(answered) + len(unanswered) == len(requests)
    assert len(answered) >= KILL_AFTER
    assert len(unanswered) > CLIENTS
    held = set(Alert.objects.filter(tenant=tenant).values_list("call_id", flat=True))
    assert held.issuperset(call for request, _ in answered for call in _calls(request))

    with running(granian(port), port, environment=environment) as server:
        # Every unanswered request again, and some of the answered ones as well.
        repeated, lost = _send(server, key, unanswered + [request for request, _ in answered[:20]])
    assert not lost

    every_call = [call for request in requests for call in _calls(request)]
    recorded = Alert.objects.filter(tenant=tenant).values_list("call_id", flat=True)
    assert Counter(recorded) == Counter(every_call)
    incident = Incident.objects.get(tenant=tenant)
    assert incident.calls_affected == incident.alerts_count == len(every_call)
    told: Counter[str] = Counter()
    for _, answer in answered + repeated:
        told.update(
            {answer["outcome"]: 1}
            if "outcome" in answer
            else {name: answer[name] for name in ("opened", "aggregated", "duplicate")}
        )
    # What was recorded without an answer was told as a duplicate afterwards.
    assert told["opened"] + told["aggregated"] <= len(every_call)
    assert sum(told.values()) == sum(len(_calls(request)) for request, _ in answered + repeated)
    assert_consistent(tenant.pk)
