"""What matching rules costs: 100,000 failures over 200 rules, beside the same without any.

    python tests/benchmarks/bench_rules.py [--failures N] [--rules N] [--batch-size N]

Runs against the database of the settings, in tenants of its own. Prints how much of the whole is
matching (all that is done to learn which rule each report meets), and both rates; exits with 1
when matching is 10 % or more. The first number is of shadow-free rules that none of the reports
meets, the second of rules that prevent one report in ten.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup()

from config import clock  # noqa: E402
from config.actors import Actor  # noqa: E402
from config.tenancy.models import Tenant  # noqa: E402
from incidents.enums import RuleMode  # noqa: E402
from incidents.services import aggregation, rules  # noqa: E402
from incidents.services.aggregation import preventing  # noqa: E402
from incidents.services.reports import Report  # noqa: E402

LIMIT = 0.10
CODES = 400
ROUNDS = 3


def batches(failures: int, size: int) -> list[list[Report]]:
    reports = [
        Report(
            trigger_type="llm_failure",
            group_key="STEP_FAILURE",
            call_id=f"call-{number}",
            agent_id=f"agent-{number % 50}",
            # A string of its own each, as decoding gives: its hash is not known yet.
            error_code=f"CODE_{number % CODES}",
            category="execution_failure",
        )
        for number in range(failures)
    ]
    return [reports[start : start + size] for start in range(0, failures, size)]


def make_tenant(name: str, count: int, *, first: int) -> Tenant:
    tenant = Tenant.objects.create(id=f"bench-{name}-{clock.uuid7()}")
    shapes: list[Any] = [
        lambda n: {"error_code": f"CODE_{n}"},
        lambda n: {"error_code": f"CODE_{n}", "trigger_type": "llm_failure"},
        lambda n: {"error_code": f"CODE_{n}", "category": "execution_failure"},
        lambda n: {"error_code": f"CODE_{n}", "agent_id": f"agent-{n % 50}"},
    ]
    for number in range(count):
        rules.create(
            tenant=tenant,
            by=Actor(via="benchmark"),
            name=f"rule {number}",
            mode=RuleMode.ACTIVE,
            **shapes[number % len(shapes)](first + number),
        )
    return tenant


def measure(tenant: Tenant, work: list[list[Report]]) -> tuple[float, float]:
    """Seconds for the whole, and for the part of it that is matching."""
    spent = 0.0
    plain = preventing.match

    def timed(*arguments: Any) -> Any:
        nonlocal spent
        begun = time.perf_counter()
        try:
            return plain(*arguments)
        finally:
            spent += time.perf_counter() - begun

    preventing.match = timed
    try:
        begun = time.perf_counter()
        for batch in work:
            aggregation.absorb(tenant=tenant, alerts=batch)
        return time.perf_counter() - begun, spent
    finally:
        preventing.match = plain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--failures", type=int, default=100_000)
    parser.add_argument("--rules", type=int, default=200)
    parser.add_argument("--batch-size", type=int, default=1_000)
    options = parser.parse_args()
    worst = 0.0
    # CODES - count // 10 rules beyond the last code meet nothing; a tenth of the codes are met.
    scenarios = {
        "no rules": (0, 0),
        "none met": (options.rules, CODES),
        "one in ten met": (options.rules, CODES - CODES // 10),
    }
    results: dict[str, list[tuple[float, float]]] = {name: [] for name in scenarios}
    for _ in range(ROUNDS):
        for name, (count, first) in scenarios.items():
            tenant = make_tenant(name.replace(" ", "-"), count, first=first)
            results[name].append(measure(tenant, batches(options.failures, options.batch_size)))
    for name, measured in results.items():
        whole = statistics.median(total for total, _ in measured)
        share = statistics.median(spent / total for total, spent in measured)
        worst = max(worst, share)
        print(
            f"{name:>15}: {options.failures / whole:>9,.0f} failures/s, matching {share:.1%} "
            "of the whole"
        )
    if worst >= LIMIT:
        sys.exit(f"matching is {worst:.1%} of the whole, {LIMIT:.0%} is the limit")


if __name__ == "__main__":
    main()
