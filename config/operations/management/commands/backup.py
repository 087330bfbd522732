"""backup: the embedded database as one file."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import IO, Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from config.database import archive
from config.database.errors import EmbeddedDatabaseError


class Command(BaseCommand):
    help = (
        "Writes the embedded database, as it is at this moment and while it is in use, into one "
        "file that `restore` reads. The private halves of signing keys, in .data/keys, are not in "
        "it. With DATABASE_URL set, use pg_dump."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", help="the file; - for standard output")

    def handle(self, *args: Any, path: str, **options: Any) -> None:
        if settings.DATABASE_URL:
            raise CommandError("DATABASE_URL is set: back that database up with pg_dump.")
        if path == "-":
            if sys.stdout.isatty():
                raise CommandError("A backup is not for a terminal: redirect it, or name a file.")
            _write(sys.stdout.buffer)
            return
        target = Path(path)
        partial = target.with_name(f"{target.name}.partial")
        try:
            # Everything that tenants sent is in it: for nobody else's eyes.
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                _write(file)
                os.fsync(file.fileno())
            partial.rename(target)
        except OSError as error:
            raise CommandError(f"{target} cannot be written: {error.strerror}.") from error
        finally:
            partial.unlink(missing_ok=True)
        self.stdout.write(f"{target}: {target.stat().st_size:,} bytes")


def _write(file: IO[bytes]) -> None:
    try:
        archive.write(settings.DATABASES["default"], file)
    except EmbeddedDatabaseError as error:
        raise CommandError(str(error)) from error
