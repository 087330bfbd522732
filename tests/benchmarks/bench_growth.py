"""Whether inserting stays flat and retention cheap as alerts pile up, and what index serves it.

    python tests/benchmarks/bench_growth.py [--rows 1 5 10] [--directory DIR] [--variants]

A cluster of its own is made in DIR (on disk, by default under the temporary directory) with the
settings of the embedded one. One database grows to so many million alerts, four fifths of them of
one tenant; a second stays small. Both take the same batches of 1,000 in turns through the service,
the large one into its largest tenant, where the index is deepest, and what is told is how their
medians compare. "Cold" is right after a checkpoint, when each page that an insert touches is
written to the log whole; "warm" is 200 batches later.

``--variants`` then compares, at the last size, ways to find what retention deletes: through the
incidents, as the product does, and by an index that every insert would pay for; and the table in
16 hash partitions by tenant.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from config import clock
from tests.benchmarks.ingest import scratch
from tests.servers import database_url

LARGEST = "largest"
BATCH = 1000
CHUNK = 100_000
PARTITIONS = 16
WARM = 200

# The alerts of the largest tenant are the ten thousandth part older each: 90 days in all. Keys are
# random, as digests are; an incident has a thousand alerts.
FILL = """
INSERT INTO incidents_alert (tenant_id, key, id, incident_id, outcome, trigger_type, group_key,
    call_id, occurred_at, created_at, cost_delta_cents, model, error_code, error_message,
    is_synthetic)
SELECT CASE WHEN n %% 5 < 4 THEN %(largest)s ELSE 'other-' || n %% 9 END,
    gen_random_uuid(), uuidv7(at - now()),
    -- One of a thousand each, and close together as their times are.
    md5('incident-' || n / 1000)::uuid, 2, 'failure_spike', 'upstream-0',
    md5('call-' || n)::varchar(24), at, at, (n %% 500) + 0.25, 'large-2', 'EXECUTION_TIMEOUT',
    'upstream did not answer within 30000 ms (attempt ' || n %% 3 || ')', false
FROM (
    SELECT n, now() - interval '90 days' * (1 - n::float / %(total)s) AS at
    FROM generate_series(%(first)s::bigint, %(last)s::bigint - 1) AS n
) made
"""

# The oldest alerts of a tenant, a step at a time: by the time they were recorded, for which there
# has to be an index, or through their incidents, for which there is one.
STEP = 2000
BY_TIME = """
SELECT key FROM incidents_alert WHERE tenant_id = %(tenant)s AND created_at < now()
ORDER BY created_at LIMIT %(step)s
"""
THROUGH_INCIDENTS = """
SELECT key FROM incidents_alert WHERE tenant_id = %(tenant)s AND incident_id = ANY(ARRAY(
    SELECT md5('incident-' || n)::uuid FROM generate_series(%(done)s::int, %(done)s::int + 99) n))
AND created_at < now() LIMIT %(step)s
"""
DELETE = "DELETE FROM incidents_alert WHERE tenant_id = %s AND key = ANY(%s)"

PARTITION = f"""
DO $$ BEGIN
    ALTER TABLE incidents_alert RENAME TO plain_alert;
    CREATE TABLE incidents_alert (LIKE plain_alert INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
        PRIMARY KEY (tenant_id, key)) PARTITION BY HASH (tenant_id);
    FOR n IN 0..{PARTITIONS - 1} LOOP
        EXECUTE format('CREATE TABLE alert_part_%s PARTITION OF incidents_alert '
            'FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER %s)', n, n);
    END LOOP;
    CREATE INDEX part_incident ON incidents_alert (incident_id, created_at);
    CREATE INDEX part_overflow ON incidents_alert (incident_id, call_id) WHERE outcome = 3;
    ALTER TABLE incidents_alert ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY part_owner ON incidents_alert TO CURRENT_USER USING (true) WITH CHECK (true);
    CREATE POLICY part_tenant ON incidents_alert TO firebreak_tenant
        USING (tenant_id = current_setting('firebreak.tenant', true))
        WITH CHECK (tenant_id = current_setting('firebreak.tenant', true));
    GRANT SELECT, INSERT, UPDATE, DELETE ON incidents_alert TO firebreak_tenant;
END $$
"""


INDEXES = {
    "btree (tenant, created_at)": "(tenant_id, created_at)",
    "BRIN (created_at)": "USING brin (created_at) WITH (pages_per_range = 32, autosummarize)",
}


class Ingest:
    """A process that folds batches into one tenant of one database by the service."""

    def __init__(self, url: str, tenant: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", tenant],
            env=scratch.environment(url),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"

    def start(self, batches: int) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{batches}\n")
        self._process.stdin.flush()

    def answer(self) -> list[float]:
        """The seconds that each batch took."""
        assert self._process.stdout is not None
        seconds: list[float] = json.loads(self._process.stdout.readline())
        return seconds

    def run(self, batches: int) -> list[float]:
        self.start(batches)
        return self.answer()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def serve(tenant_id: str) -> None:
    """What :class:`Ingest` runs."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    import django

    django.setup()
    from config.tenancy.models import Tenant
    from incidents.services import aggregation, reports
    from tests.benchmarks.ingest import alerts

    tenant, _ = Tenant.objects.get_or_create(pk=tenant_id)
    print("ready", flush=True)
    for line in sys.stdin:
        flood = alerts.flood(f"{os.getpid()}-{time.time_ns()}", int(line) * BATCH)
        seconds = []
        for body in alerts.batches(flood, BATCH):
            started = time.perf_counter()
            intake = reports.read_batch(body, at=clock.now())
            absorbed = aggregation.absorb(tenant=tenant, alerts=intake.alerts)
            seconds.append(time.perf_counter() - started)
            assert len(absorbed.outcomes) == BATCH
        print(json.dumps(seconds), flush=True)


class Bench:
    """The two databases, a process that ingests into each, and the rows of the table so far."""

    def __init__(self, urls: tuple[str, str], *, rounds: int, millions: int) -> None:
        self.url, self._small_url = urls
        self._rounds = rounds
        self._total = millions * 1_000_000
        self._filled = self._done = 0
        self.rows: list[tuple[str, ...]] = []
        self.large = Ingest(self.url, LARGEST)
        self.small = Ingest(self._small_url, LARGEST)

    def close(self) -> None:
        self.large.close()
        self.small.close()

    def tell(self, *cells: str) -> None:
        self.rows.append(cells)
        print("  " + " | ".join(cells), file=sys.stderr, flush=True)

    def fill(self, rows: int) -> None:
        """Brings the large database to so many alerts, indexes in place as they would be."""
        started, before = time.perf_counter(), self._filled
        spans = [(at, min(at + CHUNK, rows)) for at in range(self._filled, rows, CHUNK)]
        with psycopg.connect(self.url, autocommit=True) as connection:
            for first, last in spans:
                connection.execute(
                    FILL,
                    {"first": first, "last": last, "total": self._total, "largest": LARGEST},
                )
        self._filled = rows
        seconds = time.perf_counter() - started
        print(f"  filled {rows - before:,} in {seconds:.0f} s", file=sys.stderr, flush=True)

    def settle(self) -> None:
        scratch.settle(self.url)
        scratch.settle(self._small_url)

    def in_turns(self, rounds: int) -> tuple[float, float]:
        """The median seconds of a batch in the large and in the small database."""
        large: list[float] = []
        small: list[float] = []
        for _ in range(rounds):
            large += self.large.run(5)
            small += self.small.run(5)
        return statistics.median(large), statistics.median(small)

    def measure(self, name: str) -> None:
        """A row of the table: how batches go now, cold and warm."""
        self.settle()
        cold = self.in_turns(self._rounds)
        self.large.start(WARM)
        self.small.start(WARM)
        self.large.answer()
        self.small.answer()
        warm = self.in_turns(self._rounds)
        self.tell(
            name,
            *(
                f"{BATCH / large:,.0f} / {BATCH / small:,.0f} = **{small / large:.2f}**"
                for large, small in (cold, warm)
            ),
            self.sizes(),
        )

    def sizes(self) -> str:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(
                "SELECT pg_size_pretty(sum(pg_table_size(c.oid))), "
                "pg_size_pretty(sum(pg_indexes_size(c.oid))) FROM pg_class c "
                "WHERE c.relkind = 'r' AND (c.relname = 'incidents_alert' "
                "OR c.relname LIKE 'alert_part_%')"
            ).fetchone()
        assert row is not None
        return f"{row[0]} + {row[1]}"

    def retention(self, name: str, find: str, *, rows: int = 100_000) -> None:
        """Deletes the oldest alerts of the largest tenant: alone, then while others come in."""
        self.settle()
        quiet = self.large.run(60)
        alone = self._delete(find, rows)
        answers: list[float] = []
        stop = threading.Event()

        def ingest() -> None:
            while not stop.is_set():
                answers.extend(self.large.run(20))

        thread = threading.Thread(target=ingest)
        thread.start()
        beside = self._delete(find, rows)
        stop.set()
        thread.join()
        before, after = _percentiles(quiet), _percentiles(answers)
        self.tell(
            name,
            f"{alone:,.0f}/s alone, {beside:,.0f}/s beside ingest",
            f"a batch {before[0]:.0f} ms (95th {before[1]:.0f}), "
            f"beside deletion {after[0]:.0f} ({after[1]:.0f})",
            "",
        )

    def _delete(self, find: str, rows: int) -> float:
        """Alerts deleted per second."""
        deleted = 0
        started = time.perf_counter()
        with psycopg.connect(self.url, autocommit=True) as connection:
            while deleted < rows and time.perf_counter() - started < 60:
                found = {
                    "tenant": LARGEST,
                    "step": STEP,
                    "done": self._done,
                }
                keys = [key for (key,) in connection.execute(find, found, prepare=False)]  # type: ignore[arg-type]
                if len(keys) < STEP and find == THROUGH_INCIDENTS:
                    self._done += 100
                connection.execute(DELETE, [LARGEST, keys])
                deleted += len(keys)
        return deleted / (time.perf_counter() - started)

    def run_sql(self, *statements: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[arg-type]


def _percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The median and the 95th percentile, in milliseconds."""
    ordered = sorted(seconds)
    return statistics.median(ordered) * 1000, ordered[int(len(ordered) * 0.95)] * 1000


def variants(bench: Bench, size: str) -> None:
    """What an index for retention costs and gains, and what partitions do."""
    bench.retention("retention through incidents, no index more", THROUGH_INCIDENTS)
    for name, definition in INDEXES.items():
        bench.run_sql(f"CREATE INDEX tried ON incidents_alert {definition}")
        bench.measure(f"{size}, with {name}")
        bench.retention(f"retention by {name}", BY_TIME)
        bench.run_sql("DROP INDEX tried")
    bench.run_sql(PARTITION)
    bench.run_sql("INSERT INTO incidents_alert SELECT * FROM plain_alert", "DROP TABLE plain_alert")
    bench.measure(f"{size}, in {PARTITIONS} hash partitions by tenant")
    bench.retention("retention through incidents, partitioned", THROUGH_INCIDENTS)


@contextmanager
def databases(directory: Path) -> Iterator[tuple[str, str]]:
    """A cluster in ``directory`` with two migrated databases; gone at the end."""
    os.environ.pop("DATABASE_URL", None)
    from config.database import embedded

    settings = embedded.settings(directory / "pg")
    server = database_url(settings)
    try:
        urls = []
        for name in ("large", "small"):
            with psycopg.connect(server, autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name}")  # type: ignore[arg-type]
            urls.append(database_url(settings | {"NAME": name}))
            scratch.manage("migrate", "--verbosity", "0", url=urls[-1])
        yield urls[0], urls[1]
    finally:
        embedded.stop(directory / "pg")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 5, 10], help="in millions")
    parser.add_argument("--rounds", type=int, default=10, help="turns of five batches each")
    parser.add_argument("--directory", type=Path, help="where the cluster is made")
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with ExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="firebreak-growth-", dir=options.directory))
        stack.callback(shutil.rmtree, directory)
        urls = stack.enter_context(databases(directory))
        bench = Bench(urls, rounds=options.rounds, millions=options.rows[-1])
        stack.callback(bench.close)
        bench.measure("empty")
        for millions in options.rows:
            bench.fill(millions * 1_000_000)
            bench.measure(f"{millions} million")
        if options.variants:
            variants(bench, f"{options.rows[-1]} million")
        print("| alerts | cold, large / small | warm, large / small | table + indexes |")
        print("|---|---|---|---|")
        for row in bench.rows:
            print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
