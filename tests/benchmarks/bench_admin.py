"""How soon the admin's screens open at a million incidents, against an empty page of it.

Run with DATABASE_URL naming an empty PostgreSQL database:
``python tests/benchmarks/bench_admin.py [INCIDENTS]``. It fills the database the first time.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from pathlib import Path

import django

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from django.contrib.auth.models import User  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db import connection, reset_queries, transaction  # noqa: E402
from django.test import Client  # noqa: E402

from config.tenancy.services import tenants  # noqa: E402
from incidents.models import Incident  # noqa: E402
from incidents.services import rollup  # noqa: E402

ROUNDS = 7
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


def fill(number: int) -> None:
    call_command("migrate", verbosity=0)
    for place in range(TENANTS):
        tenants.ensure(tenant_id=f"bench-{place}")
    if not User.objects.filter(username="bench").exists():
        User.objects.create_superuser("bench")
    if Incident.objects.exists():
        return
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(_FILL, [number, number])
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE incidents_incident")
    rollup.rebuild()


def opened(client: Client, path: str) -> tuple[float, int]:
    """The median seconds that a screen takes, and the queries it asks."""
    times = []
    for _ in range(ROUNDS):
        reset_queries()
        started = time.perf_counter()
        answer = client.get(path)
        times.append(time.perf_counter() - started)
        assert answer.status_code == 200, f"{path}: {answer.status_code}"
    return statistics.median(times[1:]), len(connection.queries_log)


def main() -> None:
    fill(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
    connection.force_debug_cursor = True
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(username="bench"))
    some = Incident.objects.order_by("-id")[100].pk
    listed = "/admin/incidents/incident/"
    base, queries = opened(client, "/admin/incidents/costanomaly/")
    print(f"{'screen':44} {'ms':>8} {'ratio':>6} {'queries':>8}")
    print(f"{'an empty page':44} {base * 1000:8.0f} {1:6.1f} {queries:8}")
    worst = 0.0
    for name, path in {
        "dashboard, all tenants": "/admin/",
        "dashboard, one tenant": "/admin/?tenant=bench-0",
        "list, active": listed,
        "list, all": f"{listed}?topic=all",
        "list, all of one tenant": f"{listed}?topic=all&tenant=bench-0",
        "list, worst first": f"{listed}?order=worst",
        "list, one category": f"{listed}?topic=all&category=category_3",
        "one incident": f"{listed}{some}/change/",
        "runs": "/admin/incidents/run/",
        "lessons": "/admin/lessons/lesson/",
    }.items():
        seconds, queries = opened(client, path)
        worst = max(worst, seconds / base)
        print(f"{name:44} {seconds * 1000:8.0f} {seconds / base:6.1f} {queries:8}")
    print(f"\nthe slowest takes {worst:.1f} times the empty page")


if __name__ == "__main__":
    main()
