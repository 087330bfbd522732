"""Folds alerts from a file into incidents."""

from __future__ import annotations

import gzip
import re
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from config import clock
from config.tenancy.models import TENANT_ID_PATTERN, Tenant
from incidents.enums import Outcome
from incidents.services import aggregation, reports

MAX_LINE = 16 * 1024 * 1024


class Command(BaseCommand):
    help = (
        "Reads alerts as NDJSON (gzip by the ending .gz; - is standard input), folds them into "
        "incidents and prints the six outcomes. Exit status 1 when a line was bad."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a file of alerts, or -")
        parser.add_argument("--tenant", required=True, help="whose alerts they are")
        parser.add_argument(
            "--batch-size",
            type=int,
            default=5_000,
            metavar="N",
            help="alerts in one transaction, 1 to 10000 (default: %(default)s)",
        )

    def handle(self, *args: Any, file: str, tenant: str, batch_size: int, **options: Any) -> None:
        if not 1 <= batch_size <= reports.MAX_LINES:
            raise CommandError(f"--batch-size takes 1 to {reports.MAX_LINES}.")
        owner = Tenant.objects.filter(pk=tenant).first()
        if owner is None:
            known = re.fullmatch(TENANT_ID_PATTERN, tenant)
            raise CommandError(
                f"There is no tenant {tenant!r}."
                if known
                else f"{tenant!r} is not a tenant's id: a-z, 0-9 and hyphens, at most 64."
            )
        counts = dict.fromkeys(Outcome, 0)
        started = time.perf_counter()
        with _progress() as advance, ThreadPoolExecutor(1) as folder:
            # Reading and checking a batch overlaps with folding in the one before it. There is
            # one folder, so batches go in in their order.
            pending: Future[aggregation.Absorbed] | None = None
            try:
                for first_line, numbers, lines in _batches(file, batch_size):
                    intake = reports.read_lines(lines, at=clock.now())
                    for refusal in intake.refusals:
                        number = first_line + numbers[refusal.index]
                        for error in refusal.errors:
                            where = f" {error.pointer}" if error.pointer else ""
                            self.stderr.write(f"line {number}:{where} {error.detail}")
                    batch = aggregation.prepare(
                        tenant=owner, alerts=intake.alerts, rejected=len(intake.refusals)
                    )
                    if pending is not None:
                        _add(counts, pending.result(), advance)
                    pending = folder.submit(aggregation.fold, batch, via="aggregate")
            finally:
                if pending is not None:
                    _add(counts, pending.result(), advance)
                folder.submit(connection.close).result()
        seconds = time.perf_counter() - started
        received = sum(counts.values())
        for outcome, count in counts.items():
            self.stdout.write(f"{outcome.label:<10} {count}")
        self.stdout.write(f"{'received':<10} {received}")
        self.stderr.write(f"{seconds:.2f} s, {received / seconds:,.0f} alerts per second")
        if counts[Outcome.REJECTED]:
            raise CommandError(f"{counts[Outcome.REJECTED]} bad lines were left out.", returncode=1)


def _add(counts: dict[Outcome, int], absorbed: aggregation.Absorbed, advance: Any) -> None:
    for outcome, count in absorbed.counts.items():
        counts[outcome] += count
    advance(absorbed.received)


def _batches(file: str, size: int) -> Iterator[tuple[int, list[int], list[bytes]]]:
    """Batches of lines: the number of a batch's first line, offsets from it, and the lines.

    Blank lines are nothing, but they are counted.
    """
    with _opened(file) as stream:
        first, numbers, lines = 1, [], []
        number = 0
        try:
            while line := stream.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE:
                    raise CommandError(f"Line {number} is over {MAX_LINE} bytes.")
                line = line.strip(b"\r\n")
                if line.strip():
                    numbers.append(number - first)
                    lines.append(line)
                if len(lines) == size:
                    yield first, numbers, lines
                    first, numbers, lines = number + 1, [], []
        except (OSError, EOFError, zlib.error) as error:
            if lines:
                yield first, numbers, lines
            raise CommandError(f"{file} cannot be read after line {number}: {error}") from error
        if lines:
            yield first, numbers, lines


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    if file == "-":
        yield sys.stdin.buffer
        return
    path = Path(file)
    try:
        stream: Any = path.open("rb") if path.suffix != ".gz" else gzip.GzipFile(path)
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}") from error
    with stream:
        yield stream


@contextmanager
def _progress() -> Iterator[Any]:
    console = Console(stderr=True)
    with Progress(
        TextColumn("folding in"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task("alerts", total=None)
        yield lambda count: progress.advance(task, count)
