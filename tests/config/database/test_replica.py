"""When the replica may answer, as one process judges it."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import OperationalError

from config.database import replica, routing

MAX_LAG = 5.0


class Servers:
    """Two servers that say where they are, and how often they were asked."""

    def __init__(self) -> None:
        self.primary = 100
        self.replayed = 100
        self.in_recovery = True
        self.away = False
        self.time = 1000.0
        self.asked = {"default": 0, routing.REPLICA: 0}

    def run(self, statement: str, parameters: Any, *, using: str) -> list[Any]:
        self.asked[using] += 1
        if using == "default":
            return [(self.primary,)]
        if self.away:
            raise OperationalError("connection refused")
        return [(self.in_recovery, self.replayed)]


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Servers:
    found = Servers()
    monkeypatch.setattr(replica, "run", found.run)
    monkeypatch.setattr(replica, "connections", {routing.REPLICA: _Connection()})
    monkeypatch.setattr(replica.time, "monotonic", lambda: found.time)
    return found


class _Connection:
    def close(self) -> None:
        pass


@pytest.fixture
def monitor(servers: Servers) -> replica.Monitor:
    return replica.Monitor(max_lag=MAX_LAG)


def test_is_recent_grows_old_when_the_replica_stands_still(
    servers: Servers, monitor: replica.Monitor
) -> None:
    assert monitor.is_recent()
    for _ in range(4):
        servers.time += 1.1
        servers.primary += 10
        assert monitor.is_recent()
    servers.time += 1.1
    servers.primary += 10
    assert not monitor.is_recent()
    servers.replayed = servers.primary
    servers.time += 1.1
    assert monitor.is_recent()


def test_is_recent_of_an_idle_primary_and_after_a_long_silence(
    servers: Servers, monitor: replica.Monitor
) -> None:
    assert monitor.is_recent()
    servers.time += 3600
    assert monitor.is_recent()
    # It is a little behind at the first look after a silence: that may be an hour, for all we know.
    servers.time += 3600
    servers.primary += 10
    assert not monitor.is_recent()
    servers.time += 1.1
    servers.replayed = servers.primary
    assert monitor.is_recent()


def test_is_recent_asks_once_a_second(servers: Servers, monitor: replica.Monitor) -> None:
    for _ in range(100):
        monitor.is_recent()
        servers.time += 0.03
    assert servers.asked == {"default": 3, routing.REPLICA: 3}


def test_is_recent_of_a_promoted_replica_is_never(
    servers: Servers, monitor: replica.Monitor
) -> None:
    servers.in_recovery = False
    servers.replayed = 10**9
    assert not monitor.is_recent()
    replica.note_arrival(100)
    assert not monitor.has_all()


def test_has_all_asks_only_for_what_it_does_not_know(
    servers: Servers, monitor: replica.Monitor
) -> None:
    replica.note_arrival(100)
    assert monitor.has_all()
    assert servers.asked[routing.REPLICA] == 1
    replica.note_arrival(130)
    servers.replayed = 120
    assert not monitor.has_all()
    servers.replayed = 130
    assert monitor.has_all()
    assert monitor.has_all()
    assert servers.asked[routing.REPLICA] == 3


def test_replica_that_is_away_is_left_alone_for_a_while(
    servers: Servers, monitor: replica.Monitor
) -> None:
    servers.away = True
    for _ in range(50):
        assert not monitor.is_recent()
        servers.time += 0.09
    assert servers.asked[routing.REPLICA] == 1
    servers.away = False
    servers.time += 1
    assert monitor.is_recent()
    monitor.failed(OperationalError("canceling statement due to conflict with recovery"))
    assert not monitor.is_recent()
