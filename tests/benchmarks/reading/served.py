"""The readings as callers have them: over HTTP, beside an endpoint that does nothing."""

from __future__ import annotations

import http.client
import json
import os
import statistics
import time
from typing import Any

import psycopg
from django.test import Client

from config.actors import COMMAND_LINE
from config.tenancy.services import keys
from tests.benchmarks.reading.history import LARGEST
from tests.servers import HOST, Server, free_port, granian, running

ROUNDS, WARM_UP = 25, 15
MOST_STATEMENTS = 12
TRIVIAL = "whoami/"
INCIDENT = "incidents/{id}/"


def measure() -> bool:
    """Prints the milliseconds of each endpoint and its statements; whether those stay few."""
    _, plaintext = keys.issue(by=COMMAND_LINE, tenant_id=LARGEST, name="benchmark", scopes=["read"])
    port = free_port()
    environment = {
        "DATABASE_URL": os.environ["DATABASE_URL"],
        "DEBUG": "0",
        "SECRET_KEY": "benchmark" * 6,
        "LOG_LEVEL": "WARNING",
        "HTTPS": "0",
    }
    command = granian(port, workers=1, threads=1)
    with running(command, port, environment=environment) as server:
        caller = Caller(server, plaintext)
        first = caller.get("incidents/?topic=active")
        addresses = _addresses(first["results"][0]["id"], caller.deep("incidents/", pages=30))
        times = caller.in_turn([TRIVIAL, *addresses.values()])
    trivial, *taken = times
    held = True
    print(
        f"\n{'endpoint (granian, one worker, one thread)':44} {'ms':>8} {'over it':>8} statements"
    )
    print(f"{'a trivial view: ' + TRIVIAL:44} {trivial:8.2f}")
    for (name, address), milliseconds in zip(addresses.items(), taken, strict=True):
        count = statements(address, plaintext)
        held &= count <= MOST_STATEMENTS
        print(
            f"{name:44} {milliseconds:8.2f} {milliseconds - trivial:8.2f} {count:6}"
            f"{'' if count <= MOST_STATEMENTS else '  MISSED'}"
        )
    return held


def _addresses(incident: str, deep: str) -> dict[str, str]:
    one = INCIDENT.format(id=incident)
    return {
        "open list, first page": "incidents/?topic=active",
        "all, first page": "incidents/",
        "all, thirty pages of a hundred on": deep,
        "count of the open": "incidents/count/?topic=active",
        "one incident": one,
        "its timeline": f"{one}events/",
        "its learnings": f"{one}learnings/",
        "similar ones": f"{one}similar/",
        "stats": "insights/stats/",
        "metrics, 30 d": "insights/metrics/",
        "metrics, 90 d": "insights/metrics/?window_days=90",
        "trend by week, 90 d": "insights/trend/",
        "cost trend by week, 90 d": "insights/cost-trend/",
        "distribution, 90 d": "insights/distribution/",
        "cost impact, 90 d": "insights/cost-impact/?baseline_days=90",
        "recurrence, 30 d": "insights/recurrence/",
        "recurrence, 90 d": "insights/recurrence/?baseline_days=90",
        "patterns, 24 h": "insights/patterns/",
        "patterns, 168 h": "insights/patterns/?window_hours=168",
        "learnings of a category": "categories/execution_failure/learnings/",
    }


class Caller:
    """One connection that is kept."""

    def __init__(self, server: Server, key: str) -> None:
        self._connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Host": "localhost"}

    def get(self, address: str) -> Any:
        self._connection.request("GET", f"/api/v1/{address}", headers=self._headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status == 200, (address, body)
        return json.loads(body)

    def deep(self, address: str, *, pages: int) -> str:
        """The address of the page of twenty so many pages of a hundred on."""
        address += "?page_size=100"
        for _ in range(pages):
            address = self.get(address)["next"].partition("/api/v1/")[2]
        return address.replace("page_size=100", "page_size=20")

    def in_turn(self, addresses: list[str]) -> list[float]:
        times: list[list[float]] = [[] for _ in addresses]
        for turn in range(WARM_UP + ROUNDS):
            for address, taken in zip(addresses, times, strict=True):
                start = time.perf_counter()
                self.get(address)
                if turn >= WARM_UP:
                    taken.append((time.perf_counter() - start) * 1_000)
        return [statistics.median(taken) for taken in times]


def statements(address: str, key: str) -> int:
    """How many statements the database is sent for a request, a transaction's ends among them."""
    client = Client(headers={"Authorization": f"Bearer {key}", "Host": "localhost"})
    sent = 0
    execute = psycopg.Cursor.execute

    def counted(self: Any, query: Any, *args: Any, **options: Any) -> Any:
        nonlocal sent
        sent += 1
        return execute(self, query, *args, **options)

    psycopg.Cursor.execute = counted  # type: ignore[method-assign]
    try:
        assert client.get(f"/api/v1/{address}").status_code == 200
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]
    return sent
