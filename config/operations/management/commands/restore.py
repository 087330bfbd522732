"""restore: the embedded database from a file that backup wrote."""

from __future__ import annotations

import shutil
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connections

from config.database import archive
from config.database.errors import EmbeddedDatabaseError


class Command(BaseCommand):
    help = (
        "Puts a backup in the place of the embedded database. One that is not empty is only "
        "replaced with --overwrite, and only once the backup is restored whole. Run migrate "
        "afterwards if the backup is of an older version."
    )
    # What is there may be of another version, or nothing.
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", help="the file; - for standard input")
        parser.add_argument(
            "--overwrite", action="store_true", help="replace a database that is not empty"
        )

    def handle(self, *args: Any, path: str, overwrite: bool, **options: Any) -> None:
        if settings.DATABASE_URL:
            raise CommandError("DATABASE_URL is set: restore that database with pg_restore.")
        database = settings.DATABASES["default"]
        try:
            if not overwrite and not archive.is_empty(database):
                raise CommandError("The database is not empty: repeat with --overwrite.")
            connections.close_all()
            if path != "-":
                if not Path(path).is_file():
                    raise CommandError(f"There is no file {path}.")
                archive.restore(database, Path(path))
            else:
                # It is read twice: to see what it is, and to restore it.
                with tempfile.NamedTemporaryFile(dir=settings.DATA_DIR) as file:
                    shutil.copyfileobj(sys.stdin.buffer, file)
                    file.flush()
                    archive.restore(database, Path(file.name))
        except (EmbeddedDatabaseError, psycopg.Error, OSError) as error:
            raise CommandError(str(error).strip().splitlines()[0]) from error
        self.stdout.write("The backup is restored.")
