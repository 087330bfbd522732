"""What an alert costs in batches of 1,000 and of 10,000, by what a batch does.

    DATABASE_URL=postgres://... python tests/benchmarks/bench_batches.py

It makes a database of its own on that server, where every tenant is new and no table has been
analysed. A flood may open an incident a report, add to thousands, repeat itself or come in as
runs; each has to cost as much an alert in large batches as in small ones, from the first on. The
median of the batches is told, and the dearest of them.
"""

from __future__ import annotations

import itertools
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import database

NAME = "firebreak_bench_batches"
BATCHES = {1_000: 10, 10_000: 4}
Make = Callable[[int], list[Any]]


def main() -> None:
    database.set_up(NAME)
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    print(f"{'us an alert, in batches of':34}" + "".join(f"{size:>20,}" for size in BATCHES))
    for name, limit, make in _shapes():
        figures = [_measure(limit, make, size, count) for size, count in BATCHES.items()]
        told = "".join(f"{middle:9.0f} (to {most:5.0f})" for middle, most in figures)
        print(f"{name:34}{told}", flush=True)


def _measure(limit: int, make: Make, size: int, count: int) -> tuple[float, float]:
    from config.tenancy.models import Tenant
    from incidents.services import aggregation

    tenant = Tenant.objects.create(id=f"tenant-{time.time_ns()}", incidents_per_hour=limit)
    taken = []
    for _ in range(count):
        alerts = make(size)
        started = time.perf_counter()
        absorbed = aggregation.absorb(tenant=tenant, alerts=alerts)
        taken.append((time.perf_counter() - started) / size * 1e6)
        assert absorbed.received == size
    return statistics.median(taken), max(taken)


def _shapes() -> Iterator[tuple[str, int, Make]]:
    """A name, the incidents that a tenant may open an hour, and what makes a batch of a size."""
    from incidents.services.reports import Alert

    numbers = itertools.count()

    def run_of(runs: str, place: int) -> str | None:
        if not runs:
            return None
        return f"run-{next(numbers)}" if runs == "new" else f"{runs}{place}"

    def alerts(size: int, *, group: str = "", runs: str = "", call: str = "") -> list[Alert]:
        """Of group, run and call the one with the number of the alert, or a new one."""
        return [
            Alert(
                trigger_type="failure_spike",
                group_key=f"{group}{place}" if group else f"new-{next(numbers)}",
                call_id=f"{call}{place}" if call else f"call-{next(numbers)}",
                run_id=run_of(runs, place),
                error_message=f"No answer within 60 s of request {place}",
                cost_delta_cents="1.5",
            )
            for place in range(size)
        ]

    most = 100_000
    yield "an incident each", most, lambda size: alerts(size)
    yield "an incident and a run each", most, lambda size: alerts(size, runs="new")
    yield "thousands that were there", most, lambda size: alerts(size, group="known-")
    yield "those, and a run each", most, lambda size: alerts(size, group="known-", runs="new")
    yield "beyond the hourly limit", 50, lambda size: alerts(size)
    yield "the same runs again", most, lambda size: alerts(size, group="known-", runs="the-run-")
    yield "the same calls again", most, lambda size: alerts(size, group="known-", call="call-")


if __name__ == "__main__":
    main()
