"""Measures the main job, each figure beside its rival in the same run, and prints a table.

    python tests/benchmarks/bench_ingest.py [--azure FILE] [--scale F] [--rounds N] [PART ...]

PART is one or more of copy, batch, single, flat, servers, azure (default: all but servers). It
makes a database of its own on the server of DATABASE_URL, or on the embedded one. Rivals take
turns, round by round, and the medians of the rounds count: on a machine that does other things
too, trust the ratios.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from config import clock
from tests.benchmarks.ingest import alerts, load, scratch
from tests.servers import HOST, free_port, granian, gunicorn, running

CONNECTIONS = 4
# Alerts a batch, for flatness.
FLAT_SIZES = (100, 500, 1_000)
ALERTMANAGER = "/usr/bin/prometheus-alertmanager"
TRIVIAL = "tests.benchmarks.ingest.trivial"

Rival = Callable[[int], float]


class Bench:
    """The options, the scratch database, and the rows of the table so far."""

    def __init__(self, url: str, *, scale: float, rounds: int, azure: Path | None) -> None:
        self.url = url
        self.scale = scale
        self.rounds = rounds
        self.azure_file = azure
        self.rows: list[tuple[str, str]] = []

    def size(self, count: int) -> int:
        return max(1000, int(count * self.scale))

    def tell(self, what: str, figure: str) -> None:
        self.rows.append((what, figure))
        print(f"  {what}: {figure}", file=sys.stderr)

    def compare(self, unit: str, **rivals: Rival) -> dict[str, float]:
        """Lets the rivals take turns; the median rate of each, told."""
        rates: dict[str, list[float]] = {name: [] for name in rivals}
        for turn in range(self.rounds):
            for name, rival in rivals.items():
                scratch.settle(self.url)
                rates[name].append(rival(turn))
        medians = {name: statistics.median(found) for name, found in rates.items()}
        for name, median in medians.items():
            low, high = min(rates[name]), max(rates[name])
            self.tell(name.replace("_", " "), f"{median:,.0f} {unit} ({low:,.0f} to {high:,.0f})")
        return medians

    # aggregate against COPY

    def copy(self) -> None:
        count = self.size(200_000)
        with tempfile.TemporaryDirectory() as directory:

            def aggregate(turn: int, *, runs: bool = False) -> float:
                tenant = f"copy-{turn}-{int(runs)}"
                scratch.make_tenant(tenant, url=self.url)
                file = Path(directory) / f"{tenant}.ndjson"
                file.write_bytes(alerts.lines(alerts.flood(tenant, count, runs=runs)))
                done = scratch.manage("aggregate", str(file), "--tenant", tenant, url=self.url)
                assert scratch.counts(tenant, url=self.url)["calls"] == count
                file.unlink()
                seconds = re.search(r"([\d.]+) s, ", done.stderr)
                assert seconds is not None
                return count / float(seconds[1])

            medians = self.compare(
                "alerts/s",
                COPY_of_the_same_rows=lambda turn: _copy(self.url, f"copy-{turn}", count),
                aggregate=aggregate,
                aggregate_with_runs_agents_and_metadata=lambda turn: aggregate(turn, runs=True),
            )
        ratio = medians["aggregate"] / medians["COPY_of_the_same_rows"]
        self.tell("aggregate / COPY (at least 0.8)", f"**{ratio:.2f}**")

    # alerts/batch/ against Alertmanager

    def batch(self) -> None:
        count = self.size(100_000)
        port = free_port()
        key = scratch.make_tenant("batch", url=self.url)

        def firebreak(turn: int, *, kinds: int = 1) -> float:
            name = f"batch-{turn}-{kinds}"
            bodies = alerts.batches(alerts.flood(name, count, kinds=kinds), 1000)
            return count * _rate(port, "/api/v1/alerts/batch/", bodies, key) / len(bodies)

        def alertmanager(turn: int) -> float:
            flood = alerts.flood(f"batch-{turn}-am", count)
            bodies = alerts.for_alertmanager(flood, 1000)
            return count * _rate(rival, "/api/v2/alerts", bodies) / len(bodies)

        with _alertmanager() as rival, self._serving(granian(port), port):
            medians = self.compare(
                "alerts/s",
                Alertmanager_1000_a_request=alertmanager,
                alerts_batch_1000_a_request=firebreak,
                alerts_batch_of_10_kinds=lambda turn: firebreak(turn, kinds=10),
            )
        ratio = medians["alerts_batch_1000_a_request"] / medians["Alertmanager_1000_a_request"]
        self.tell("alerts/batch/ / Alertmanager (at least 1.0)", f"**{ratio:.2f}**")

    # alerts/ one by one against a trivial view and a hot row

    def single(self) -> None:
        count = self.size(6_000)
        port, other = free_port(), free_port()
        key = scratch.make_tenant("single", url=self.url)
        trivial_command = granian(other, app=TRIVIAL)

        def firebreak(turn: int) -> float:
            bodies = alerts.singles(alerts.flood(f"single-{turn}", count))
            return _rate(port, "/api/v1/alerts/", bodies, key)

        def trivial(turn: int) -> float:
            bodies = alerts.singles(alerts.flood(f"single-{turn}", count))
            return _rate(other, "/", bodies)

        with (
            self._serving(granian(port), port),
            running(trivial_command, other, environment=scratch.environment(self.url), path="/"),
        ):
            medians = self.compare(
                "requests/s",
                hot_row_UPDATE_and_commit=lambda _: _hot_row(self.url, count),
                trivial_DRF_POST=trivial,
                alerts_one_by_one=firebreak,
            )
        slower = min(medians["hot_row_UPDATE_and_commit"], medians["trivial_DRF_POST"])
        ratio = medians["alerts_one_by_one"] / slower
        self.tell("alerts/ / the slower of the two (at least 0.8)", f"**{ratio:.2f}**")

    # the same requests behind different servers

    def servers(self) -> None:
        key = scratch.make_tenant("servers", url=self.url)
        count, batches = self.size(4_000), self.size(60_000)
        commands = {
            f"{make.__name__}, {workers} workers of {threads} threads": (make, workers, threads)
            for make in (granian, gunicorn)
            for workers, threads in ((1, 4), (2, 1), (2, 2), (2, 4), (3, 1), (4, 1))
            if not (make is gunicorn and threads == 1 and workers < CONNECTIONS)
        }
        for name, (make, workers, threads) in commands.items():
            port = free_port()
            with self._serving(make(port, workers=workers, threads=threads), port):
                scratch.settle(self.url)
                flood = alerts.flood(f"{name[:8]}-{workers}-{threads}-one", count)
                one = _rate(port, "/api/v1/alerts/", alerts.singles(flood), key)
                flood = alerts.flood(f"{name[:8]}-{workers}-{threads}-many", batches)
                bodies = alerts.batches(flood, 1000)
                many = 1000 * _rate(port, "/api/v1/alerts/batch/", bodies, key)
            self.tell(name, f"{one:,.0f} one by one, {many:,.0f} alerts/s in batches")

    # flatness

    def flat(self) -> None:
        os.environ |= scratch.environment(self.url)
        os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
        import django

        django.setup()
        from config.tenancy.models import Tenant
        from incidents.services import aggregation, reports

        def absorb(tenant: Any, bodies: list[bytes]) -> list[float]:
            seconds = []
            for body in bodies:
                started = time.perf_counter()
                intake = reports.read_batch(body, at=clock.now())
                aggregation.absorb(tenant=tenant, alerts=intake.alerts)
                seconds.append(time.perf_counter() - started)
            return seconds

        total, part = self.size(200_000), self.size(10_000)
        warm = Tenant.objects.create(id="flat-warm")
        for size in FLAT_SIZES:
            name = f"flat-{size}"
            big, small = Tenant.objects.create(id=name), Tenant.objects.create(id=f"{name}-fresh")
            # Now, and not once more half-way: after a checkpoint each page is logged whole, and
            # the pages of the first incident are many by then.
            scratch.settle(self.url)
            absorb(warm, alerts.batches(alerts.flood(f"{name}-warm", part), size))
            bodies = alerts.batches(alerts.flood(name, total), size)
            edge = part // size
            first = absorb(big, bodies[:edge])
            absorb(big, bodies[edge:-edge])
            last, fresh = [], []
            others = alerts.batches(alerts.flood(f"{name}-fresh", part), size)
            for one, other in zip(bodies[-edge:], others, strict=True):
                last += absorb(big, [one])
                fresh += absorb(small, [other])
            assert scratch.counts(name, url=self.url)["calls"] == total
            assert scratch.counts(name, url=self.url)["incidents"] == 1
            first_, last_, fresh_ = (
                statistics.median(seconds) / size * 1e6 for seconds in (first, last, fresh)
            )
            self.tell(
                f"first and last {part:,} of {total:,}, {size:,} a batch",
                f"{first_:.1f} and {last_:.1f} us an alert, **{last_ / first_:.2f}** (at most "
                f"1.10); first of another incident in turns with the last {fresh_:.1f} us, "
                f"**{last_ / fresh_:.2f}**",
            )

    # a real trace

    def azure(self) -> None:
        if self.azure_file is None:
            return
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory) / "azure.ndjson"
            file.write_bytes(alerts.lines(alerts.azure(self.azure_file)))
            count = file.read_bytes().count(b"\n")
            for tenant, overrides in (("azure", {}), ("azure-240", {"cooldown_seconds": 240})):
                scratch.make_tenant(tenant, url=self.url, **overrides)
                seconds = []
                for _ in range(2):
                    done = scratch.manage("aggregate", str(file), "--tenant", tenant, url=self.url)
                    seconds.append(done.stderr.strip().splitlines()[-1])
                found = scratch.counts(tenant, url=self.url)
                assert found["calls"] == found["alerts"] == count
                how = f"cooldown {overrides.get('cooldown_seconds', 60)} s"
                self.tell(
                    f"Azure trace, {count:,} calls, {how}",
                    f"{found['incidents']} incident(s), {found['calls']:,} calls, "
                    f"{found['cents']} cents; {seconds[0]}; again: {seconds[1]}",
                )

    def _serving(self, command: list[str], port: int) -> Any:
        return running(command, port, environment=scratch.environment(self.url))


def _rate(port: int, path: str, bodies: list[bytes], key: str = "") -> float:
    """Requests per second over the connections; every one must be answered 2xx."""
    headers = f"Authorization: Bearer {key}\r\n" if key else ""
    seconds, statuses = load.post_all(port, path, bodies, connections=CONNECTIONS, headers=headers)
    assert set(statuses) <= {200, 201}, statuses
    assert sum(statuses.values()) == len(bodies)
    return len(bodies) / seconds


def _copy(url: str, name: str, count: int) -> float:
    """COPY of a flood's rows into a table with a primary key and one unique index; rows/s."""
    columns = list(next(alerts.flood(name, 1)))
    rows = "".join(
        f"{clock.uuid7()}\t{name}\t" + "\t".join(alert.values()) + "\n"
        for alert in alerts.flood(name, count)
    ).encode()
    blocks = [rows[at : at + 2**20] for at in range(0, len(rows), 2**20)]
    with psycopg.connect(url) as connection:
        connection.execute("DROP TABLE IF EXISTS plain")
        connection.execute(
            "CREATE TABLE plain (id uuid PRIMARY KEY, tenant text, trigger_type text, "
            "group_key text, call_id text, occurred_at timestamptz, cost_delta_cents numeric, "
            "model text, error_code text, error_message text, UNIQUE (tenant, call_id))"
        )
        connection.commit()
        started = time.perf_counter()
        with connection.cursor().copy(
            f"COPY plain (id, tenant, {', '.join(columns)}) FROM STDIN"  # type: ignore[arg-type]
        ) as copying:
            for block in blocks:
                copying.write(block)
        connection.commit()
        return count / (time.perf_counter() - started)


def _hot_row(url: str, count: int) -> float:
    """UPDATE of one row and commit, over the connections; commits/s."""
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS hot (id int PRIMARY KEY, n bigint)")
        connection.execute("INSERT INTO hot VALUES (1, 0) ON CONFLICT DO NOTHING")
    links = [psycopg.connect(url, autocommit=True) for _ in range(CONNECTIONS)]

    def work(link: psycopg.Connection[Any]) -> None:
        for _ in range(count // CONNECTIONS):
            link.execute("UPDATE hot SET n = n + 1 WHERE id = 1", prepare=True)

    threads = [threading.Thread(target=work, args=(link,)) for link in links]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - started
    for link in links:
        link.close()
    return count // CONNECTIONS * CONNECTIONS / seconds


@contextmanager
def _alertmanager() -> Iterator[int]:
    """A running Alertmanager that tells nobody; its port."""
    port = free_port()
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        settings = directory / "alertmanager.yml"
        settings.write_text("route:\n  receiver: none\nreceivers:\n  - name: none\n")
        command = [
            ALERTMANAGER,
            f"--config.file={settings}",
            f"--storage.path={directory / 'data'}",
            f"--web.listen-address={HOST}:{port}",
            "--cluster.listen-address=",
            "--log.level=error",
        ]
        stack.enter_context(running(command, port, environment={}, path="/-/healthy"))
        yield port


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ["copy", "batch", "single", "flat", "azure"]
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join([*parts, "servers"]))
    parser.add_argument("--azure", type=Path, help="the trace's CSV, gzipped or not")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of alerts")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if unknown := set(options.parts) - {*parts, "servers"}:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with scratch.database() as url:
        bench = Bench(url, scale=options.scale, rounds=options.rounds, azure=options.azure)
        for part in options.parts or parts:
            print(f"{part}:", file=sys.stderr)
            getattr(bench, part)()
    print("| what | measured |\n|---|---|")
    for what, figure in bench.rows:
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
