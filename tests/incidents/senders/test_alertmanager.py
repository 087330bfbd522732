"""Notifications of Prometheus Alertmanager: from a real one, and every way to get one wrong."""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from config.tenancy.models import Tenant
from incidents.models import Alert, EndedAlert, Event, Incident, SenderSettings
from incidents.senders import alertmanager
from incidents.services import senders
from tests.config.api.conftest import ApiClient
from tests.incidents.senders.conftest import BY, Served
from tests.incidents.senders.receivers import eventually
from tests.incidents.services.checks import assert_consistent
from tests.incidents.services.test_crash import Crash, broken, snapshot
from tests.servers import free_port

ADDRESS = "/api/v1/senders/alertmanager/"
PROGRAM = shutil.which("prometheus-alertmanager")
NOW = datetime.now(UTC)


class Alertmanager:
    def __init__(self, url: str) -> None:
        self.url = url

    def tell(self, *names: str, ended: bool = False, **labels: str) -> None:
        """What Prometheus would say: these alerts fire, or are over."""
        now = datetime.now(UTC)
        ends = {"endsAt": now.isoformat()} if ended else {}
        alerts = [
            {
                "labels": {"alertname": name, "severity": "critical", **labels},
                "annotations": {"summary": f"{name} is burning", "description": "Look."},
                "startsAt": (NOW - timedelta(seconds=30)).isoformat(),
                "generatorURL": "http://prometheus.example/graph",
                **ends,
            }
            for name in names
        ]
        requests.post(f"{self.url}/api/v2/alerts", json=alerts, timeout=10).raise_for_status()


@pytest.fixture
def monitor(served: Served, tmp_path: Path) -> Iterator[Alertmanager]:
    if PROGRAM is None:
        pytest.fail("prometheus-alertmanager is not installed")
    configuration = {
        "route": {
            "receiver": "firebreak",
            "group_by": ["cluster"],
            "group_wait": "100ms",
            "group_interval": "200ms",
            "repeat_interval": "1h",
        },
        "receivers": [
            {
                "name": "firebreak",
                "webhook_configs": [
                    {
                        "url": f"{served.url}{ADDRESS}",
                        "send_resolved": True,
                        "http_config": {
                            "authorization": {"type": "Bearer", "credentials": served.bearer}
                        },
                    }
                ],
            }
        ],
    }
    # JSON is YAML.
    (tmp_path / "alertmanager.yml").write_text(json.dumps(configuration))
    port = free_port()
    process = subprocess.Popen(
        [
            PROGRAM,
            f"--config.file={tmp_path}/alertmanager.yml",
            f"--storage.path={tmp_path}/data",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: _is_ready(url))
        yield Alertmanager(url)
    finally:
        process.kill()
        process.wait()


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=1).ok
    except requests.ConnectionError:
        return False


def test_alertmanager_opens_joins_and_resolves(served: Served, monitor: Alertmanager) -> None:
    SenderSettings.objects.create(tenant=served.tenant, resolve_on_resolved=True)
    monitor.tell("DiskFull", cluster="a")
    incident = eventually(lambda: Incident.objects.filter(tenant=served.tenant).first())
    assert (incident.trigger_type, incident.title) == ("alertmanager", "DiskFull is burning")
    assert (incident.cause_type, incident.description) == ("system", "Look.")
    assert incident.get_severity_display() == "critical"
    # Another alert of the group joins; the first is told of again, and counts once.
    monitor.tell("DiskSlow", cluster="a")
    eventually(lambda: Alert.objects.filter(incident=incident).count() == 2)
    # One of two is over: the other still burns.
    monitor.tell("DiskFull", cluster="a", ended=True)
    eventually(lambda: EndedAlert.objects.count() == 1)
    incident.refresh_from_db()
    assert (incident.status, incident.calls_affected) == ("open", 2)
    monitor.tell("DiskSlow", cluster="a", ended=True)
    eventually(lambda: Incident.objects.get().status == "resolved")
    incident.refresh_from_db()
    assert incident.resolution_method == "auto"
    assert incident.resolved_by == "test key"
    assert_consistent(served.tenant.pk)


def test_alertmanager_resolves_nothing_unless_wanted(served: Served, monitor: Alertmanager) -> None:
    monitor.tell("DiskFull")
    eventually(lambda: Incident.objects.exists())
    monitor.tell("DiskFull", ended=True)
    monitor.tell("Marker", cluster="other")
    eventually(lambda: Incident.objects.count() == 2)
    time.sleep(0.5)
    assert set(Incident.objects.values_list("status", flat=True)) == {"open"}


# The same by hand, for what a real one does not do


def alert(name: str = "A", *, status: str = "firing", started: datetime = NOW) -> dict[str, Any]:
    return {
        "status": status,
        "labels": {"alertname": name, "severity": "warning", "run_id": "r 1/2"},
        "annotations": {"summary": f"{name} burns"},
        "startsAt": started.isoformat(),
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example",
        "fingerprint": f"f{name}",
    }


def body(*alerts: Any, group: str = "{}:{}", **changes: Any) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": group,
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "firebreak",
        "alerts": list(alerts),
        **changes,
    }


def send(tenant: Tenant, *alerts: Any, group: str = "{}:{}") -> senders.Notified:
    data = json.dumps(body(*alerts, group=group)).encode()
    notification = alertmanager.read(data, at=datetime.now(UTC))
    return senders.notify(tenant=tenant, by=BY, notification=notification)


def test_alertmanager_answers_what_became_of_each_alert(api: ApiClient) -> None:
    bad = alert("C") | {"fingerprint": "not one!"}
    answer = api.post(
        ADDRESS,
        body(alert("A"), alert("B"), alert("A"), alert("D", status="resolved"), bad),
        content_type="application/json",
    )
    assert answer.status_code == 200, answer.content
    found = answer.json()
    names = ("received", "opened", "aggregated", "duplicate", "rejected", "ended")
    assert [found[name] for name in names] == [5, 1, 1, 1, 1, 1]
    assert found["errors"] == [
        {"index": 4, "pointer": "/fingerprint", "detail": "must be 1 to 64 letters and digits"}
    ]
    recorded = Alert.objects.filter(tenant=api.tenant).first()
    assert recorded is not None
    assert (recorded.run_id, recorded.error_code) == ("r-1-2", "B")
    assert_consistent(api.tenant.pk, received=4)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"version": "3"}, "/version"),
        ({"version": 4}, "/version"),
        ({"groupKey": ""}, "/groupKey"),
        ({"alerts": []}, "/alerts"),
        ({"alerts": {}}, "/alerts"),
        ({"alerts": [alert()] * 1001}, "/alerts"),
    ],
)
def test_alertmanager_refuses_what_is_no_notification(
    api: ApiClient, change: dict[str, Any], pointer: str
) -> None:
    answer = api.post(ADDRESS, body(alert()) | change, content_type="application/json")
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]
    assert not Incident.objects.exists()
    assert_consistent(api.tenant.pk, received=1)


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"status": "burning"}, "/status"),
        ({"startsAt": "yesterday"}, "/startsAt"),
        ({"startsAt": None}, "/startsAt"),
        ({"startsAt": 12}, "/startsAt"),
        ({"startsAt": (NOW + timedelta(hours=1)).isoformat()}, "/startsAt"),
        ({"labels": {"a": 1}}, "/labels"),
        ({"labels": None}, "/labels"),
        ({"annotations": []}, "/annotations"),
        ({"fingerprint": ""}, "/fingerprint"),
    ],
)
def test_alertmanager_rejects_a_bad_alert_by_itself(
    tenant: Tenant, change: dict[str, Any], pointer: str
) -> None:
    data = json.dumps(body(alert("A"), alert("B") | change)).encode()
    notification = alertmanager.read(data, at=datetime.now(UTC))
    (refusal,) = notification.refusals
    assert (refusal.index, refusal.errors[0].pointer) == (1, pointer)
    assert len(notification.firing) == 1


def test_notify_resolves_when_the_last_alert_of_an_incident_ends(tenant: Tenant) -> None:
    SenderSettings.objects.create(tenant=tenant, resolve_on_resolved=True)
    send(tenant, alert("A"), alert("B"))
    assert send(tenant, alert("A", status="resolved")).resolved == []
    # The same end again, and one of an alert that nobody told of.
    assert send(tenant, alert("A", status="resolved"), alert("X", status="resolved")).resolved == []
    (resolved,) = send(tenant, alert("B", status="resolved")).resolved
    event = Event.objects.get(incident_id=resolved, event_type="resolved")
    assert "every alert has ended" in event.description
    assert event.via == "test key"
    # What fires again, later, is another alert, and opens another incident.
    again = send(tenant, alert("A", started=NOW + timedelta(seconds=1)))
    assert list(again.absorbed.incidents) != [resolved]


def test_notify_that_crashed_anywhere_is_made_good_by_its_repetition(tenant: Tenant) -> None:
    SenderSettings.objects.create(tenant=tenant, resolve_on_resolved=True)
    send(tenant, alert("A"), group="one")
    before = snapshot()
    for number in itertools.count():
        try:
            with broken(number):
                send(tenant, alert("A", status="resolved"), alert("B"), group="one")
        except Crash:
            # What fires is kept as a whole or not at all, and what ended is not.
            is_kept = Alert.objects.filter(error_code="B").exists()
            assert is_kept or snapshot() == before, f"after statement {number}"
            assert not EndedAlert.objects.exists()
        else:
            break
    assert number > 8
    assert EndedAlert.objects.count() == 1
    (resolved,) = send(tenant, alert("B", status="resolved"), group="one").resolved
    incident = Incident.objects.get()
    assert (incident.pk, incident.calls_affected) == (resolved, 2)
    assert_consistent(tenant.pk)


def test_notify_of_an_end_before_its_beginning_resolves_what_then_opens(tenant: Tenant) -> None:
    SenderSettings.objects.create(tenant=tenant, resolve_on_resolved=True)
    send(tenant, alert("A", status="resolved"))
    notified = send(tenant, alert("A"))
    assert notified.resolved == list(notified.absorbed.incidents)


def test_notify_leaves_an_incident_that_others_joined_too(tenant: Tenant) -> None:
    SenderSettings.objects.create(tenant=tenant, resolve_on_resolved=True)
    Tenant.objects.update(incidents_per_hour=0)
    tenant.refresh_from_db()
    send(tenant, alert("A"), group="one")
    send(tenant, alert("B"), group="two")
    overflow = Incident.objects.get()
    assert overflow.source_type == "overflow"
    assert send(tenant, alert("A", status="resolved"), group="one").resolved == []
    assert send(tenant, alert("B", status="resolved"), group="two").resolved == [overflow.pk]


def test_read_keeps_long_groups_apart() -> None:
    long = "x" * 300
    first, second = (
        alertmanager.read(json.dumps(body(alert(), group=long + end)).encode(), at=NOW).firing[0]
        for end in ("1", "2")
    )
    assert first.group_key != second.group_key
    assert len(first.group_key or "") == len(second.group_key or "") == 200


def test_read_bounds_what_it_takes_over() -> None:
    big = alert()
    big["labels"] = {"alertname": "n" * 5000, "severity": "odd"} | {
        f"l{i}": "v" * 100 for i in range(500)
    }
    big["annotations"] = {"summary": "s\0" * 5000}
    (report,) = alertmanager.read(
        json.dumps(body(copy.deepcopy(big))).replace("\\u0000", "").encode(), at=NOW
    ).firing
    assert len(report.error_code or "") == 200
    assert len(report.title or "") == 2000
    assert report.severity is None
    assert len(report.metadata) <= 16 * 1024
