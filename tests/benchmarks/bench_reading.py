"""Reads a million incidents, beside the shapes that a careful hand would write in SQL.

    DATABASE_URL=postgres://... python tests/benchmarks/bench_reading.py [--incidents N] [--keep]

It makes a database of its own on that server, fills it (200 tenants by Zipf: the largest has 17
in 100), and measures everything for the largest tenant, each reading and its rivals in turn, so
that only the ratios count: see benchmarks/reading/rivals.py, and originals.py for what was there
before, on both of its sets of indexes. Ours runs as a request has it, by the role that sees one
tenant; what the dashboard reads also as if it were other hours of the day, which cut more or less
off the sums of days. Then the same over HTTP beside a trivial view; what the indexes take; and
opening incidents in bulk, by one caller and by two. It exits with 1 when a bar was missed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.benchmarks import database

NAME = "firebreak_bench_reading"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--incidents", type=int, default=1_000_000)
    parser.add_argument("--keep", action="store_true", help="use the data of the last time")
    parser.add_argument(
        "--cpu",
        action="store_true",
        help="count what both ends took of a processor, not the time: only the services, for a "
        "machine that other work keeps busy (Linux, with the server on it)",
    )
    options = parser.parse_args()
    database.set_up(NAME, keep=options.keep)
    from tests.benchmarks.reading import history, readings, served, storage

    if not options.keep:
        history.generate(options.incidents)
    if options.cpu:
        sys.exit(0 if readings.measure(cpu=True) else 1)
    # Each prints what it finds, whatever the others found.
    held = [measure() for measure in (storage.measure_sizes, readings.measure, served.measure)]
    held.append(storage.measure_opening())
    sys.exit(0 if all(held) else 1)


if __name__ == "__main__":
    main()
