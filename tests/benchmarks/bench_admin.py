"""How soon every screen of the admin opens at a million incidents, against an empty list of it.

Run with DATABASE_URL naming an empty PostgreSQL database:
``python tests/benchmarks/bench_admin.py [INCIDENTS]``. It fills the database the first time.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from datetime import timedelta
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, models, reset_queries, transaction  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import setup_test_environment, teardown_test_environment  # noqa: E402

from config import clock  # noqa: E402
from config.operations.models import AuditEvent  # noqa: E402
from config.tenancy.models import Tenant  # noqa: E402
from config.tenancy.services import tenants  # noqa: E402
from exports.models import Bundle  # noqa: E402
from incidents.models import (  # noqa: E402
    Alert,
    CostAnomaly,
    CostRecord,
    Evidence,
    Failure,
    Incident,
    PolicyEvaluation,
    Prevention,
    Run,
    Violation,
    WebhookDelivery,
)
from incidents.services import rollup  # noqa: E402
from lessons.models import Lesson, Proposal  # noqa: E402
from tests.browser import screens, seed  # noqa: E402
from tests.browser.seed import Seeded  # noqa: E402

ROUNDS = 7
BAR = 3.0
EMPTY = "/admin/incidents/costanomaly/?q=nothing"
TENANTS = 5

# Spread over 90 days in five tenants; one in a hundred is not resolved.
_FILL = """
INSERT INTO incidents_incident (
    id, tenant_id, title, description, status, severity, category, trigger_type, group_key,
    cause_type, source_type, window_start, calls_affected, alerts_count, cost_delta_cents,
    escalation_base, is_synthetic, started_at, last_seen_at, quiet_since, created_at,
    acknowledged_at, resolved_at, resolved_by, resolution_method, run_id, agent_id, error_code
)
SELECT
    (lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0') || '7'
        || substr(md5(n::text), 1, 3) || '8' || substr(md5(n::text), 5, 15))::uuid,
    'bench-' || n %% 5, 'failure_spike: agent-' || n %% 40, '',
    CASE WHEN n %% 100 = 0 THEN 'open' ELSE 'resolved' END, 1 + n %% 4, 'category_' || n %% 12,
    'failure_spike', 'group-' || n, 'llm_run', 'alert', at, n %% 300, n %% 300, n %% 900, 0, false,
    at, at, at, at, CASE WHEN n %% 100 <> 0 THEN at + interval '5 min' END,
    CASE WHEN n %% 100 <> 0 THEN at + interval '1 hour' END,
    CASE WHEN n %% 100 <> 0 THEN 'bench' END, CASE WHEN n %% 100 <> 0 THEN 'manual' END,
    'run-' || n, 'agent-' || n %% 40, 'EXECUTION_TIMEOUT'
FROM (
    SELECT n, now() - interval '90 days' * (1 - n / %s::float) AS at FROM generate_series(1, %s) n
) g
"""


# Of one incident there can be one draft, and any number of what was decided.
_REJECTED = {
    "status": "'rejected'",
    "decided_at": "t.created_at",
    "decided_by": "'bench'",
    "rejected_reason": "'No.'",
    "rule_id": "NULL",
}
# Of what there is one, many more: so many, and what makes each unique.
_MANY = (
    (Run, 200_000, {"run_id": "'many-' || n"}),
    (Lesson, 200_000, {"source": "'many:' || n"}),
    (Proposal, 100_000, _REJECTED),
    (Failure, 100_000, {"run_id": "'many-' || n"}),
    (Violation, 100_000, {"run_id": "'many-' || n"}),
    (Evidence, 100_000, {"failure_id": "NULL", "violation_id": "NULL"}),
    (Prevention, 100_000, {"alert_key": "gen_random_uuid()"}),
    (PolicyEvaluation, 100_000, {"run_id": "'many-' || n"}),
    (CostRecord, 100_000, {"request_id": "'many-' || n"}),
    (CostAnomaly, 100_000, {"anomaly_id": "'many-' || n"}),
    (WebhookDelivery, 100_000, {"event_id": "gen_random_uuid()"}),
    (AuditEvent, 100_000, {}),
    (Bundle, 5_000, {}),
)
FLOOD = 200_000
# Ids of alerts grow with time, and 10,000 of them came together, as in the largest batches.
_IN_ORDER = """(
    lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint + n / 200), 12, '0')
    || '7000' || '8' || lpad(to_hex(n), 15, '0')
)::uuid"""
_IN_BATCHES = "now() + n / 10000 * interval '50 milliseconds'"


def fill(number: int) -> Seeded:
    call_command("migrate", verbosity=0)
    if User.objects.filter(username="root").exists():
        return _seeded()
    # First what goes through the services: they would learn from a million incidents.
    seeded = seed.plant()
    screens.furnish(seeded)
    for model, count, unique in _MANY:
        multiply(model, count, **unique)
    own = {"key": "gen_random_uuid()", "call_id": "'many-' || n"}
    multiply(Alert, FLOOD, id=_IN_ORDER, created_at=_IN_BATCHES, **own)
    Incident.objects.filter(pk=seeded.worst.pk).update(
        alerts_count=FLOOD + 230, calls_affected=FLOOD + 230
    )
    for place in range(TENANTS):
        tenants.ensure(tenant_id=f"bench-{place}")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(_FILL, [number, number])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    rollup.rebuild()
    User.objects.create_superuser("root")
    return _seeded()


def multiply(model: type[models.Model], number: int, **unique: str) -> None:
    """So many copies of the model's first row, each with an id and with ``unique`` of its own."""
    table = model._meta.db_table
    names = [field.column for field in model._meta.concrete_fields]
    new = {"id": "gen_random_uuid()"} | unique
    values = ", ".join(new.get(name, f't."{name}"') for name in names)
    columns = ", ".join(f'"{name}"' for name in names)
    order = "WHERE incident_id IS NOT NULL ORDER BY id" if model is Alert else ""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(
            f"INSERT INTO {table} ({columns}) SELECT {values} "
            f"FROM (SELECT * FROM {table} {order} LIMIT 1) t, generate_series(1, %s) n",
            [number],
        )


def _seeded() -> Seeded:
    acme, other = Tenant.objects.get(pk="acme"), Tenant.objects.get(pk="globex")
    own = Incident.objects.filter(tenant=acme)
    return Seeded(
        acme,
        other,
        worst=own.filter(severity=4).order_by("id")[0],
        old=own.filter(status="resolved")[0],
        violated=own.get(trigger_type="policy_violation"),
    )


def opened(client: Client, path: str) -> tuple[float, float, int]:
    """The median seconds of a screen, and of an empty list in turn with it; its queries."""
    times: dict[str, list[float]] = {EMPTY: [], path: []}
    for _ in range(ROUNDS):
        for address, taken in times.items():
            reset_queries()
            started = time.perf_counter()
            answer = client.get(address)
            taken.append(time.perf_counter() - started)
            assert answer.status_code == 200, f"{address}: {answer.status_code}"
    base, seconds = (statistics.median(taken[1:]) for taken in times.values())
    return seconds, base, len(connection.queries_log)


def main() -> None:
    seeded = fill(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
    connection.force_debug_cursor = True
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(username="root"))
    large = Incident.objects.filter(tenant_id="bench-0").order_by("-id")[100].pk
    listed = "/admin/incidents/incident/"
    paths = [
        "/admin/",
        "/admin/?tenant=bench-0",
        listed,
        f"{listed}?topic=all",
        f"{listed}?topic=all&tenant=bench-0",
        f"{listed}?topic=resolved",
        f"{listed}?order=newest",
        f"{listed}?order=seen",
        f"{listed}?topic=all&category=category_3",
        f"{listed}?topic=all&severity=critical&acknowledged=yes",
        # What no index serves, and what is rare: it ends where the list stops to look.
        f"{listed}?topic=all&trigger_type=nothing",
        f"{listed}?topic=all&tenant=bench-0&acknowledged=no",
        f"{listed}?topic=resolved&acknowledged=no",
        f"{listed}?topic=all&category=nothing",
        f"{listed}?topic=all&assignee=nobody",
        f"{listed}?topic=historical",
        f"{listed}?topic=all&started_before={clock.now() - timedelta(days=60):%Y-%m-%dT%H:%M}",
        f"{listed}?topic=all&order=cost",
        f"{listed}?topic=all&order=calls&tenant=bench-0",
        f"{listed}?topic=resolved&order=seen",
        f"{listed}?topic=historical&order=worst",
        # A word that every incident says, and one that a few do.
        f"{listed}?search=failure_spike",
        f"{listed}?topic=all&search=failure_spike",
        f"{listed}?topic=all&search=failure_spike&order=cost",
        f"{listed}?topic=all&search=failure_spike&tenant=bench-0",
        f"{listed}?topic=all&search=nothing",
        f"{listed}{large}/change/",
        *(path for group in screens.GROUPS.values() for path in group(seeded)),
    ]
    # What the dashboard's figures lead to, of all tenants and of one.
    setup_test_environment()
    for home in ("/admin/", "/admin/?tenant=bench-0"):
        context = client.get(home).context
        paths.append(context["incidents_href"])
        paths += [context["incidents_chart"].bars[0].href, context["calls_chart"].bars[15].href]
        paths += [row["href"] for row in context["categories"][:1]]
        paths += [row["acknowledged_href"] for row in context["pace"][:1]]
        paths += [row["resolved_href"] for row in context["pace"][:1]]
        paths += [one["href"] for one in context["patterns"][:3]]
    teardown_test_environment()
    print(f"{'ms':>8} {'ratio':>6} {'queries':>8}  screen")
    results = []
    for path in dict.fromkeys(paths):
        seconds, base, queries = opened(client, path)
        results.append((seconds / base, queries, path))
        print(f"{seconds * 1000:8.0f} {seconds / base:6.1f} {queries:8}  {path}", flush=True)
    slow = sorted((one for one in results if one[0] > BAR), reverse=True)
    print(f"\n{len(results)} screens; the slowest takes {max(results)[0]:.1f} times an empty list")
    print(f"at most {max(one[1] for one in results)} queries; {len(slow)} beyond {BAR} times:")
    for ratio, _, path in slow:
        print(f"{ratio:6.1f}  {path}")


if __name__ == "__main__":
    main()
