"""A million incidents of 200 tenants by Zipf: the largest has 17 in 100."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

TENANTS = 200
DAYS = 100
LARGEST = "tenant-001"


def generate(incidents: int) -> None:
    """Migrates an empty database and fills it; afterwards it is analysed, and the sums proved."""
    from django.core.management import call_command
    from django.db import connection

    from incidents.services import rollup
    from tests.benchmarks.reading import originals, rivals

    step("migrated", lambda: call_command("migrate", verbosity=0))
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit = off")
        cursor.execute("SELECT setseed(0.42)")
        cursor.execute(
            "INSERT INTO tenancy_tenant (id, name, created_at) "
            "SELECT 'tenant-' || lpad(n::text, 3, '0'), '', now() "
            f"FROM generate_series(1, {TENANTS}) n"
        )
        step("incidents inserted", lambda: cursor.execute(INCIDENTS, {"incidents": incidents}))
        step("events inserted", lambda: cursor.execute(EVENTS))
        step("links to runs inserted", lambda: cursor.execute(LINKS))
        step("changes folded", rollup.fold)
        step("rivals made", lambda: cursor.execute(rivals.TABLES))
        step("originals made", lambda: cursor.execute(originals.TABLES))
        step("vacuumed", lambda: cursor.execute("VACUUM (ANALYZE)"))
    step("sums proved", lambda: print("   differences:", rollup.differences()))


def step(what: str, work: Callable[[], Any]) -> None:
    start = time.perf_counter()
    work()
    print(f"{time.perf_counter() - start:7.1f} s  {what}", flush=True)


INCIDENTS = f"""
WITH shares AS (
    SELECT array_agg(part / whole ORDER BY n) AS begin FROM (
        SELECT n, (sum(1.0 / n) OVER (ORDER BY n) - 1.0 / n)::float8 AS part,
            sum(1.0 / n) OVER ()::float8 AS whole
        FROM generate_series(1, {TENANTS}) n
    ) of_tenant
), drawn AS MATERIALIZED (
    SELECT g, 'tenant-' || lpad(width_bucket(place, begin)::text, 3, '0') AS tenant,
        now() - interval '{DAYS} days' * (1 - g::float8 / %(incidents)s) AS started,
        random() AS a, random() AS b, random() AS c, random() AS d, random() AS e,
        exp(sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) AS lognormal,
        exp(sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random())) AS other
    FROM (
        -- Each tenant has exactly its share, spread over the whole time.
        SELECT g, ((g::bigint * 7919 + 104729) %% %(incidents)s)::float8 / %(incidents)s AS place
        FROM generate_series(1, %(incidents)s) g
    ) spread, shares
), made AS (
    SELECT *,
        CASE WHEN a < 0.35 THEN 'auto' WHEN a < 0.9 THEN 'manual' ELSE 'rollback' END AS method,
        -- What is not resolved after a quarter of an hour waits for a person.
        g > %(incidents)s * 0.9995 AND b < 0.6 OR b < 0.01 AS unresolved,
        CASE WHEN a >= 0.35 OR c < 0.1 THEN started + make_interval(secs => 400 * lognormal) END
            AS acknowledged,
        CASE WHEN a < 0.35 THEN started + make_interval(secs => 900 + 300 * other)
            ELSE started + make_interval(secs => 400 * lognormal + 3600 * other) END AS resolved,
        (ARRAY['execution_failure', 'rate_limit', 'budget_exceeded', 'content_policy',
            'resource_exhaustion', 'cost_anomaly', 'manual', NULL])[1 + floor(8 * d * d)::int]
            AS cat,
        (ARRAY['EXECUTION_TIMEOUT', 'AGENT_CRASH', 'RATE_LIMIT_EXCEEDED', 'STEP_FAILURE',
            'BUDGET_EXCEEDED', NULL])[1 + floor(6 * e)::int] AS code
    FROM drawn
)
INSERT INTO incidents_incident (id, tenant_id, title, description, status, severity, category,
    trigger_type, trigger_value, group_key, cause_type, source_type, window_start,
    calls_affected, alerts_count, cost_delta_cents, escalation_base, run_id, agent_id, model,
    error_code, error_message, metadata, is_synthetic, started_at, last_seen_at, quiet_since,
    created_at, acknowledged_at, acknowledged_by, resolved_at, resolved_by, resolution_method,
    resolution_type)
SELECT gen_random_uuid(), tenant,
    'failure_spike: agent-' || (g %% 50) || ' failing on step ' || (g %% 1000),
    'Seen by the gateway of region ' || (g %% 7) || ' while calling tool ' || (g %% 113)
        || '; the last answer before it was complete.',
    CASE WHEN NOT unresolved THEN 'resolved' WHEN acknowledged < now() THEN 'acknowledged'
        ELSE 'open' END,
    CASE WHEN c < 0.4 THEN 1 WHEN c < 0.75 THEN 2 WHEN c < 0.95 THEN 3 ELSE 4 END,
    cat, 'failure_spike', '> ' || (g %% 40) || ' failures a minute',
    'agent-' || (g %% 50) || '/' || g,
    CASE WHEN d < 0.8 THEN 'llm_run' WHEN d < 0.97 THEN 'system' ELSE 'human' END, 'alert',
    date_trunc('minute', started), 1 + floor(30 * lognormal), 2 + floor(40 * lognormal),
    round((50 * lognormal)::numeric, 4), 0, 'run-' || (g / 3), 'agent-' || (g %% 50),
    'model-' || (g %% 9), code,
    'No answer from upstream ' || (g %% 300) || ' within 60 s: request '
        || md5(g::text) || ' gave up after three attempts, the last one with status 504',
    jsonb_build_object('region', 'r' || (g %% 7), 'attempt', g %% 5, 'queue', md5((g / 7)::text)),
    false, started, started + interval '2 minutes', started + interval '2 minutes', started,
    CASE WHEN unresolved AND acknowledged >= now() THEN NULL ELSE acknowledged END,
    CASE WHEN acknowledged < now() THEN 'ops-key' END,
    CASE WHEN NOT unresolved THEN resolved END, CASE WHEN NOT unresolved THEN 'ops-key' END,
    CASE WHEN NOT unresolved THEN method END, CASE WHEN NOT unresolved THEN 'real' END
FROM made ORDER BY g
"""

EVENTS = """
INSERT INTO incidents_event (id, tenant_id, incident_id, event_type, description, via, data,
    created_at)
SELECT gen_random_uuid(), tenant_id, id, 'resolved',
    'Resolved as real by ops-key. Restarted worker ' || (extract(epoch FROM created_at)::bigint
        % 97), 'ops-key', '{}', resolved_at
FROM incidents_incident WHERE status = 'resolved'
"""

LINKS = """
INSERT INTO incidents_incidentrun (tenant_id, run_id, incident_id)
SELECT tenant_id, run_id, id FROM incidents_incident
"""
