"""Folds alerts from a file into incidents."""

from __future__ import annotations

import gzip
import re
import sys
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

from django.core.management.base import BaseCommand, CommandError, CommandParser
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
            default=10_000,
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
        batches = _batches(file, batch_size)
        # What the database has answered is not to wait long for the thread that reads ahead.
        sys.setswitchinterval(0.0002)
        with _durable_at_the_end(), _progress() as advance, ThreadPoolExecutor(1) as reader:
            # Reading and checking a batch overlaps with folding in the one before it.
            ahead = reader.submit(_read, batches, owner)
            while (read := ahead.result()) is not None:
                ahead = reader.submit(_read, batches, owner)
                for complaint in read.complaints:
                    self.stderr.write(complaint)
                absorbed = aggregation.fold(read.batch, via="aggregate", durable=False)
                for outcome, count in absorbed.counts.items():
                    counts[outcome] += count
                advance(absorbed.received)
        seconds = time.perf_counter() - started
        received = sum(counts.values())
        for outcome, count in counts.items():
            self.stdout.write(f"{outcome.label:<10} {count}")
        self.stdout.write(f"{'received':<10} {received}")
        self.stderr.write(f"{seconds:.2f} s, {received / seconds:,.0f} alerts per second")
        if counts[Outcome.REJECTED]:
            raise CommandError(f"{counts[Outcome.REJECTED]} bad lines were left out.", returncode=1)


class _Read(NamedTuple):
    """A batch that is ready to be folded in, and what is wrong with its bad lines."""

    batch: aggregation.Batch
    complaints: list[str]


def _read(batches: Iterator[_Lines], owner: Tenant) -> _Read | None:
    """The next batch; None after the last. Touches no database."""
    lines = next(batches, None)
    if lines is None:
        return None
    intake = reports.read_lines(lines.texts, at=clock.now())
    complaints = [
        f"line {lines.numbers[refusal.index]}: {f'{error.pointer} ' if error.pointer else ''}"
        f"{error.detail}"
        for refusal in intake.refusals
        for error in refusal.errors
    ]
    batch = aggregation.prepare(tenant=owner, alerts=intake.alerts, rejected=len(intake.refusals))
    return _Read(batch, complaints)


class _Lines(NamedTuple):
    """Lines of the file without their ends, and their numbers, counted from 1."""

    numbers: list[int]
    texts: list[bytes]


def _batches(file: str, size: int) -> Iterator[_Lines]:
    """The lines of a file in batches. Blank lines are nothing, but they are counted."""
    number = 0
    lines = _Lines([], [])
    with _opened(file) as stream:
        try:
            while text := stream.readline(MAX_LINE + 1):
                number += 1
                if len(text) > MAX_LINE:
                    raise CommandError(f"Line {number} is over {MAX_LINE} bytes.")
                text = text.rstrip(b"\r\n")
                if not text.strip():
                    continue
                lines.numbers.append(number)
                lines.texts.append(text)
                if len(lines.texts) == size:
                    yield lines
                    lines = _Lines([], [])
        except (OSError, EOFError, zlib.error) as error:
            if lines.texts:
                yield lines
            raise CommandError(f"{file} cannot be read after line {number}: {error}") from error
        if lines.texts:
            yield lines


@contextmanager
def _durable_at_the_end() -> Iterator[None]:
    """Nothing is told before this ends, so no batch has to wait for the disk by itself."""
    try:
        yield
    finally:
        aggregation.make_durable()


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
