"""Does what time brings: stale incidents, lessons, what was deferred."""

from __future__ import annotations

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config import clock, housekeeping


class Command(BaseCommand):
    help = "Runs every housekeeping task once, or again every S seconds until it is told to stop."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--every", type=float, metavar="S", help="repeat every S seconds (0.1 to 86400)"
        )

    def handle(self, *args: Any, every: float | None, **options: Any) -> None:
        if every is None:
            failed = self._round()
            if failed:
                raise CommandError(f"Housekeeping failed: {', '.join(failed)}.")
            return
        if not 0.1 <= every <= 86_400:
            raise CommandError("--every takes 0.1 to 86400 seconds.")
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        while not stop.is_set():
            self._round()
            stop.wait(every)

    def _round(self) -> list[str]:
        failed = []
        for name, result in housekeeping.run():
            if isinstance(result, Exception):
                failed.append(name)
                reason = " ".join(str(result).split())
                self.stderr.write(f"{name}: {type(result).__name__}: {reason}")
            else:
                self.stdout.write(f"{clock.now():%Y-%m-%dT%H:%M:%SZ} {name}: {result}")
        return failed
