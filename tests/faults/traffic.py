"""Clients that report, read, triage and export, repeat what was not answered, and keep a ledger.

What is answered 2xx goes into the ledger; the audit holds the database to it. An answer is clean
when it is what the contract says: JSON, and a problem document where it is a refusal. A connection
may break only when it was open while a worker was killed.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from tests.servers import HOST

# A request that is refused for so long, cleanly each time, is given up.
PATIENCE_SECONDS: Final = 60.0
TIMEOUT_SECONDS: Final = 60.0
Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class TenantKey:
    """A tenant and a key of it that may do everything."""

    tenant: str
    key: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The final answer to a request: its status and body, and that as it came."""

    status: int
    body: Any
    data: bytes


@dataclass
class Ledger:
    """What was sent, and what was answered; every list and counter is safe to add to."""

    requests: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    # By (tenant, trigger, call): every alert with a call that was acknowledged.
    calls: set[tuple[str, str, str]] = field(default_factory=set)
    # Alerts without a call, by (tenant, error message), made repeatable by Idempotency-Key.
    keyed: set[tuple[str, str]] = field(default_factory=set)
    failures: set[tuple[str, str]] = field(default_factory=set)
    # Acts by (tenant, actor): done once each, or refused and not done at all.
    acts: dict[tuple[str, str], str] = field(default_factory=dict)
    refused_acts: set[tuple[str, str]] = field(default_factory=set)
    bundles: dict[tuple[str, str], str] = field(default_factory=dict)
    # Reports in answered requests by tenant, and in attempts that may have counted or not.
    received: Counter[str] = field(default_factory=Counter)
    uncertain: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)
    excused: int = 0
    unclean: list[str] = field(default_factory=list)
    given_up: int = 0
    slowest: float = 0.0
    # When a worker was killed, and when it was gone.
    kills: list[tuple[float, float]] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)

    def count(self, counter: Counter[Any], key: Any, by: int = 1) -> None:
        with self.guard:
            counter[key] += by

    @property
    def acknowledged(self) -> int:
        return len(self.calls) + len(self.keyed) + len(self.failures)


class Client:
    """One connection that is made anew when it breaks, and the requests of one kind."""

    def __init__(self, port: int, tenants: list[TenantKey], ledger: Ledger, *, seed: int) -> None:
        self.chance = random.Random(seed)
        self.ledger = ledger
        self._port = port
        self._tenants = tenants
        self._link: http.client.HTTPConnection | None = None
        self._opened = 0.0

    def tenant(self) -> TenantKey:
        return self.chance.choice(self._tenants)

    def send(
        self,
        by: TenantKey,
        method: str,
        path: str,
        body: Any = None,
        *,
        reports: int = 0,
        key: str | None = None,
        raw: bytes | None = None,
        content_type: str = "application/json",
    ) -> Answer | None:
        """The answer to a request, sent again until it has one; None when it was given up.

        ``reports`` is how many it would count, ``key`` an Idempotency-Key.
        """
        headers = {"Authorization": f"Bearer {by.key}", "Content-Type": content_type}
        if key is not None:
            headers["Idempotency-Key"] = key
        content = raw if raw is not None else json.dumps(body).encode() if body else None
        ledger = self.ledger
        started = time.monotonic()
        deadline = started + PATIENCE_SECONDS
        ledger.count(ledger.requests, f"{method} {path.split('?')[0].split('/')[0]}")
        while time.monotonic() < deadline:
            answer = self._try(method, f"/api/v1/{path}", content, headers)
            if answer is not None and answer.status < 500:
                ledger.slowest = max(ledger.slowest, time.monotonic() - started)
                if reports and answer.status < 300:
                    ledger.count(ledger.received, by.tenant, reports)
                return answer
            if reports:
                ledger.count(ledger.uncertain, by.tenant, reports)
            time.sleep(self.chance.uniform(0.05, 0.3))
        ledger.given_up += 1
        return None

    def _try(
        self, method: str, path: str, content: bytes | None, headers: Headers
    ) -> Answer | None:
        """One attempt; None when the connection broke."""
        ledger = self.ledger
        try:
            if self._link is None:
                self._opened = time.monotonic()
                self._link = http.client.HTTPConnection(HOST, self._port, timeout=TIMEOUT_SECONDS)
            with suppress(BrokenPipeError):  # it may have been refused before it was read
                self._link.request(method, path, content, headers)
            response = self._link.getresponse()
            data = response.read()
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            now = time.monotonic()
            if any(self._opened <= gone and begun <= now for begun, gone in ledger.kills):
                ledger.count(ledger.statuses, 0)
                ledger.excused += 1
            else:
                ledger.broken.append(f"{method} {path}: {type(error).__name__}: {error}")
            return None
        ledger.count(ledger.statuses, response.status)
        kind = response.getheader("Content-Type", "")
        body: Any = json.loads(data) if kind.endswith("json") else data
        if response.status >= 400:
            clean = kind == "application/problem+json" and body["status"] == response.status
            if not clean or (response.status >= 500 and response.status != 503):
                ledger.unclean.append(f"{method} {path}: {response.status} {kind} {data[:300]!r}")
        return Answer(response.status, body, data)

    def _drop(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


class Clients:
    """All the clients, working until they are told to stop."""

    def __init__(self, port: int, tenants: list[TenantKey], *, seed: int) -> None:
        self.ledger = Ledger()
        self._known: dict[str, list[str]] = {one.tenant: [] for one in tenants}
        self._calls: list[tuple[TenantKey, dict[str, Any]]] = []
        self._stopping = threading.Event()
        jobs: list[tuple[Callable[[Client], None], float, int]] = [
            (self._report_one, 0.0, 3),
            (self._report_batch, 0.01, 2),
            (self._report_failure, 0.05, 1),
            (self._read, 0.02, 2),
            (self._triage, 0.02, 2),
            (self._export, 0.3, 1),
        ]
        self._threads = []
        for job, pause, count in jobs:
            for _ in range(count):
                client = Client(port, tenants, self.ledger, seed=seed + len(self._threads))
                self._threads.append(
                    threading.Thread(target=self._work, args=(job, client, pause), daemon=True)
                )

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Lets every client finish what it is about, repeats included."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(PATIENCE_SECONDS + TIMEOUT_SECONDS)
            if thread.is_alive():
                self.ledger.unclean.append("a client hangs")

    def _work(self, job: Callable[[Client], None], client: Client, pause: float) -> None:
        while not self._stopping.is_set():
            try:
                job(client)
            except Exception as error:
                self.ledger.unclean.append(f"{job.__name__}: {type(error).__name__}: {error}")
                raise
            if pause:
                time.sleep(pause)

    # reporting

    def _alert(self, client: Client, tenant: str) -> dict[str, Any]:
        chance = client.chance
        occurred = datetime.now(UTC) - timedelta(seconds=chance.uniform(0, 20))
        alert: dict[str, Any] = {
            "trigger_type": chance.choice(["failure_spike", "rate_limit", "content_policy"]),
            # One group is hot; in the busy tenant there are more kinds than may open incidents.
            "group_key": f"group-{min(chance.randrange(60), chance.randrange(60))}"
            if tenant == "busy"
            else f"group-{chance.choice([0, 0, 0, 1, 2])}",
            "call_id": uuid.UUID(int=chance.getrandbits(128)).hex,
            "cost_delta_cents": f"{chance.randrange(1000)}.25",
        }
        if chance.random() < 0.7:
            alert["occurred_at"] = occurred.isoformat()
        if chance.random() < 0.3:
            alert["run_id"] = f"run-{chance.randrange(50)}"
            alert["agent_id"] = f"agent-{chance.randrange(5)}"
        return alert

    def _report_one(self, client: Client) -> None:
        by, ledger = client.tenant(), self.ledger
        if client.chance.random() < 0.1 and self._calls:
            by, alert = client.chance.choice(self._calls)  # somebody sends it again
        else:
            alert = self._alert(client, by.tenant)
        if client.chance.random() < 0.1:
            del_call = {k: v for k, v in alert.items() if k != "call_id"}
            message = f"keyed-{uuid.UUID(int=client.chance.getrandbits(128))}"
            answer = client.send(
                by, "POST", "alerts/", del_call | {"error_message": message}, reports=1, key=message
            )
            if self._expect(answer, "POST alerts/ keyed", 201):
                ledger.keyed.add((by.tenant, message))
            return
        answer = client.send(by, "POST", "alerts/", alert, reports=1)
        if not self._expect(answer, "POST alerts/", 200, 201):
            return
        assert answer is not None
        self._acknowledge(by, alert)
        ledger.count(ledger.outcomes, answer.body["outcome"])
        if answer.body["incident"] is not None:
            self._know(by, answer.body["incident"]["id"])

    def _report_batch(self, client: Client) -> None:
        by, ledger = client.tenant(), self.ledger
        count = client.chance.choice([2, 10, 50, 100])
        alerts = [self._alert(client, by.tenant) for _ in range(count)]
        bad = client.chance.random() < 0.1
        sent = [*alerts, {"trigger_type": "no such thing!"}] if bad else alerts
        if client.chance.random() < 0.5:
            answer = client.send(by, "POST", "alerts/batch/", {"alerts": sent}, reports=len(sent))
        else:
            lines = b"\n".join(json.dumps(alert).encode() for alert in sent)
            answer = client.send(
                by,
                "POST",
                "alerts/batch/",
                raw=lines,
                content_type="application/x-ndjson",
                reports=len(sent),
            )
        if not self._expect(answer, "POST alerts/batch/", 200):
            return
        assert answer is not None
        body = answer.body
        names = ("opened", "aggregated", "overflowed", "prevented", "duplicate", "rejected")
        if sum(body[name] for name in names) != body["received"] or body["rejected"] != bad:
            ledger.unclean.append(f"a batch that does not add up: {body}")
        for name in names:
            ledger.count(ledger.outcomes, name, body[name])
        for alert in alerts:
            self._acknowledge(by, alert)
        for id_ in body["incidents"][:3]:
            self._know(by, id_)

    def _acknowledge(self, by: TenantKey, alert: dict[str, Any]) -> None:
        self.ledger.calls.add((by.tenant, alert["trigger_type"], alert["call_id"]))
        if len(self._calls) < 5000:
            self._calls.append((by, alert))

    def _report_failure(self, client: Client) -> None:
        by = client.tenant()
        run_id = f"failed-{uuid.UUID(int=client.chance.getrandbits(128)).hex}"
        answer = client.send(
            by,
            "POST",
            f"runs/{run_id}/failure/",
            {"failure_type": "timeout", "error_code": "EXECUTION_TIMEOUT", "request_id": "r"},
            reports=1,
        )
        if self._expect(answer, "POST runs/failure/", 200, 201):
            self.ledger.failures.add((by.tenant, run_id))

    # reading

    def _read(self, client: Client) -> None:
        by = client.tenant()
        paths = [
            "incidents/",
            "incidents/?topic=active&ordering=-severity",
            "incidents/?search=group",
            "incidents/count/",
            "insights/stats/",
            "insights/metrics/",
            "insights/patterns/",
            "insights/accounting/",
            "insights/trend/",
            "runs/",
            "preventions/",
            "whoami/",
        ]
        if (id_ := self._some(client, by)) is not None:
            paths += [f"incidents/{id_}/{rest}" for rest in ("", "alerts/", "events/", "similar/")]
        path = client.chance.choice(paths)
        answer = client.send(by, "GET", path)
        if self._expect(answer, f"GET {path}", 200) and "accounting" in path:
            assert answer is not None
            body = answer.body
            if "received" not in body:
                self.ledger.unclean.append(f"accounting without received: {body}")

    # triage

    def _triage(self, client: Client) -> None:
        by = client.tenant()
        id_ = self._some(client, by)
        if id_ is None:
            return
        actor = f"person-{uuid.UUID(int=client.chance.getrandbits(128))}"
        act, body, event = client.chance.choice(
            [
                ("acknowledge", {}, "acknowledged"),
                ("resolve", {"resolution_method": "manual"}, "resolved"),
                ("reopen", {"reason": "again"}, "reopened"),
                ("assign", {"assignee": "ada"}, "assigned"),
                ("severity", {"severity": "low", "reason": "known"}, "severity_changed"),
                ("events", {"description": "looked at it"}, "commented"),
                ("events", {"description": "and again"}, "commented"),
            ]
        )
        answer = client.send(
            by, "POST", f"incidents/{id_}/{act}/", {**body, "actor": actor}, key=actor
        )
        if self._expect(answer, f"POST incidents/{act}/", 200, 201, 409):
            assert answer is not None
            if answer.status == 409:
                self.ledger.refused_acts.add((by.tenant, actor))
            else:
                self.ledger.acts[by.tenant, actor] = event

    # exporting

    def _export(self, client: Client) -> None:
        by = client.tenant()
        id_ = self._some(client, by)
        if id_ is None:
            return
        reason = f"reason-{uuid.UUID(int=client.chance.getrandbits(128))}"
        kind = client.chance.choice(["evidence", "soc2", "executive_debrief"])
        answer = client.send(
            by,
            "POST",
            "exports/",
            {"incident_id": id_, "bundle_type": kind, "export_reason": reason},
            key=reason,
        )
        if not self._expect(answer, "POST exports/", 201):
            return
        assert answer is not None
        bundle = answer.body["id"]
        self.ledger.bundles[by.tenant, reason] = bundle
        answer = client.send(by, "GET", f"exports/{bundle}/download/?as=json")
        if not self._expect(answer, "GET exports/download/", 200):
            return
        assert answer is not None
        answer = client.send(by, "POST", "exports/verify/", raw=answer.data)
        if self._expect(answer, "POST exports/verify/", 200):
            assert answer is not None
            if not answer.body["verified"]:
                self.ledger.unclean.append(f"a bundle that does not verify: {answer.body}")

    # what the clients share

    def _know(self, by: TenantKey, id_: str) -> None:
        known = self._known[by.tenant]
        if id_ not in known:
            known.append(id_)

    def _some(self, client: Client, by: TenantKey) -> str | None:
        known = self._known[by.tenant]
        return client.chance.choice(known) if known else None

    def _expect(self, answer: Answer | None, what: str, *statuses: int) -> bool:
        """Whether a request had one of these answers; any other is a finding."""
        if answer is None:
            return False
        if answer.status not in statuses:
            self.ledger.unclean.append(f"{what}: {answer.status} {answer.body!r:.300}")
            return False
        return True
