"""Mixed load with faults, and then the question whether every promise was kept.

    python tests/faults/run.py --seconds 600

Reports, reads, triage and exports go to two workers while workers are killed, PostgreSQL is
restarted, dropped and told that its disk is full, connections are cut and a clock goes wrong.
Afterwards what was acknowledged is there exactly once, every incident's counts are its alerts',
outcomes add up, every request had an answer or a clean refusal, and the memory of the worker that
lived through it all stayed flat. Exit status 0 only if so; every finding is printed.

Flat means: the median of its resident memory in the last quarter of the run is at most a tenth,
and 16 MiB, above that of the second quarter; the first one is for warming up. A run of less than
five minutes is all warming up: there it may only not pass 512 MiB. The disk can only be filled
where the script may mount one; it says so where it may not.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests import clusters
from tests.faults import audit, stage
from tests.faults.stage import Stage
from tests.faults.traffic import Clients, TenantKey
from tests.faults.trouble import MemoryWatch, Trouble
from tests.servers import ROOT

WARM_SECONDS = 300
MOST_MEBIBYTES = 512
# The tenants: one by the defaults, one that opens more than it may, one that goes stale quickly.
TENANTS = {
    "steady": {},
    "busy": {"window_seconds": 5, "cooldown_seconds": 0, "incidents_per_hour": 40},
    "stale": {"window_seconds": 2, "cooldown_seconds": 1, "stale_after_seconds": 2},
}


def prepare(here: Stage, *, like: str | None) -> list[TenantKey]:
    """Makes the tables, the tenants with a key each, and the key that bundles are signed with."""
    os.environ |= here.environment | {"DJANGO_SETTINGS_MODULE": "config.settings"}
    import django

    django.setup()
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from django.core.management import call_command
    from django.db import connections

    from config.tenancy.models import Tenant
    from tests.factories.tenancy import issue_key

    if like is None:
        call_command("migrate", verbosity=0)
    else:
        clusters.copy_schema(like, here.url)
    Path(here.environment["SIGNING_KEY_FILE"]).write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    made = []
    for tenant_id, overrides in TENANTS.items():
        _, key = issue_key(Tenant.objects.create(id=tenant_id, **overrides))
        made.append(TenantKey(tenant_id, key))
    connections.close_all()
    return made


def run(seconds: float, *, every: float, seed: int, like: str | None) -> list[str]:
    """Everything that did not hold."""
    with stage.set_up(seconds) as here:
        tenants = prepare(here, like=like)
        if not here.small_disk:
            print("the disk is not filled: no file system can be mounted here", file=sys.stderr)
        with stage.serving(here), ExitStack() as stack:
            housekeeping = stage.Housekeeping(here)
            stack.callback(housekeeping.stop)
            clients = Clients(here.server.port, tenants, seed=seed)
            trouble = Trouble(here, clients.ledger, seed=seed)
            memory = MemoryWatch(here)
            over = threading.Event()

            def watch() -> None:
                while not over.wait(0.5):
                    memory.sample()

            threading.Thread(target=watch, daemon=True).start()
            started = time.monotonic()
            clients.start()
            trouble.make(until=started + seconds - 3, every=every)
            time.sleep(max(0.0, started + seconds - time.monotonic()))
            clients.stop()
            over.set()
            elapsed = time.monotonic() - started
            housekeeping.stop()
            findings = list(_findings(here, clients, memory, housekeeping, seconds))
        _tell(clients, trouble, memory, here, elapsed)
        if findings:
            print(here.log.read_text(errors="replace")[-20_000:], file=sys.stderr)
        return findings


def _findings(
    here: Stage,
    clients: Clients,
    memory: MemoryWatch,
    housekeeping: stage.Housekeeping,
    seconds: float,
) -> Iterator[str]:
    ledger = clients.ledger
    yield from (f"broken without a killed worker: {what}" for what in ledger.broken[:20])
    yield from (f"not clean: {what}" for what in ledger.unclean[:20])
    if here.log.read_bytes().count(b"Traceback (most recent call last)"):
        yield "there are tracebacks in the log"
    if housekeeping.ends or housekeeping.status != 0:
        yield (
            f"housekeeping ended by itself {housekeeping.ends} times, "
            f"and with status {housekeeping.status} when it was asked to"
        )
    with here.connect() as connection:
        yield from audit.findings(connection, ledger)
    sums = subprocess.run(
        [sys.executable, "manage.py", "check_rollup"],
        cwd=ROOT,
        env=here.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if sums.returncode:
        yield f"check_rollup: {sums.stderr.strip()[-500:]}"
    if not ledger.outcomes["overflowed"]:
        yield "nothing overflowed, so that the limit was not tried"
    _, second, _, last = memory.quarters()
    if seconds >= WARM_SECONDS and last > second * 1.1 + 16:
        yield f"memory grew from {second:.0f} to {last:.0f} MiB"
    if last > MOST_MEBIBYTES:
        yield f"the eldest worker holds {last:.0f} MiB"
    if not memory.eldest.is_running():
        yield "the eldest worker ended"


def _tell(
    clients: Clients, trouble: Trouble, memory: MemoryWatch, here: Stage, elapsed: float
) -> None:
    ledger = clients.ledger
    print(f"{elapsed:.0f} s; {sum(ledger.requests.values()):,} requests:")
    for what, count in sorted(ledger.requests.items()):
        print(f"  {what}: {count:,}")
    print(
        f"acknowledged: {ledger.acknowledged:,} reports, {len(ledger.acts):,} acts "
        f"({len(ledger.refused_acts):,} refused), {len(ledger.bundles):,} bundles"
    )
    print(f"outcomes answered: {dict(ledger.outcomes)}")
    print(f"answers by status (0: a killed worker's connection): {dict(ledger.statuses)}")
    print(f"slowest, repeats included: {ledger.slowest:.1f} s; given up: {ledger.given_up}")
    print(f"faults: {dict(trouble.made)}; refused for want of space: {here.refusals_for_space()}")
    quarters = memory.quarters()
    print(
        "memory of the eldest worker by quarters, MiB: "
        + ", ".join(f"{median:.0f}" for median in quarters)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--every", type=float, default=4, help="seconds between faults")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--like", metavar="URL", help="a migrated database, instead of migrating")
    options = parser.parse_args()
    # So that whoever stops it leaves nothing behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    print(f"seed {options.seed}", file=sys.stderr)
    findings = run(options.seconds, every=options.every, seed=options.seed, like=options.like)
    for finding in findings:
        print(f"FINDING {finding}")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
