"""Check an exported bundle offline."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from config.errors import FirebreakError
from exports.services import keys, verification


class Command(BaseCommand):
    help = (
        "Check a JSON or ZIP bundle against the installed keys, or against --public-key without "
        "a database. Never trusts the key inside. Exits 0 only if all holds; else names the "
        "first thing that does not."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("path", help="the file, or - for standard input")
        parser.add_argument(
            "--public-key",
            action="append",
            default=[],
            metavar="FILE",
            help="an Ed25519 public key in PEM to trust; may be given more than once",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            trusted = _given(options["public_key"]) or _installed()
            found = verification.verify(_read(options["path"]), public_keys=trusted)
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise CommandError(f"{where}{error.strerror or error}") from error
        except DatabaseError as error:
            reason = str(error).partition("\n")[0]
            raise CommandError(
                f"The installed keys cannot be read ({reason}); give --public-key."
            ) from error
        except FirebreakError as error:
            raise CommandError(error.detail) from error
        for check in found.checks:
            if check.ok:
                self.stdout.write(f"ok  {check.name}: {check.detail}")
        if found.failure:
            raise CommandError(f"{found.failure.name}: {found.failure.detail}")
        if found.subject:
            self.stdout.write(
                f"{found.subject.bundle_type} bundle {found.subject.bundle_id} of incident "
                f"{found.subject.incident_id}, {found.subject.generated_at}: verified"
            )


def _read(path: str) -> bytes:
    """The file, or one byte more than verification takes of it."""
    limit = verification.MAX_FILE_BYTES + 1
    if path == "-":
        return sys.stdin.buffer.read(limit)
    with Path(path).open("rb") as file:
        return file.read(limit)


def _given(paths: list[str]) -> dict[str, str]:
    trusted: dict[str, str] = {}
    for path in paths:
        try:
            key = keys.parse_public(Path(path).read_bytes())
        except FirebreakError as error:
            raise CommandError(f"{path}: {error.detail}") from error
        trusted[keys.key_id(key)] = keys.public_pem(key)
    return trusted


def _installed() -> dict[str, str]:
    trusted = keys.installed()
    configured = keys.configured()
    if configured is not None:
        trusted.setdefault(configured.key_id, configured.public_pem)
    return trusted
