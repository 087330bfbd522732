"""revoke_api_key: ends a key, named by its prefix."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.actors import COMMAND_LINE
from config.errors import FirebreakError
from config.tenancy.services import keys


class Command(BaseCommand):
    help = "Revokes the API key with this prefix, at once. Revoking it again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("prefix", help="the part of the key between 'fb_' and the next '_'")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            key = keys.revoke(by=COMMAND_LINE, prefix=options["prefix"])
        except FirebreakError as error:
            raise CommandError(f"{options['prefix']!r}: {error.detail}") from error
        self.stdout.write(
            f"Key {key.prefix} ({key.name}) of tenant {key.tenant_id} is revoked"
            f" since {key.revoked_at:%Y-%m-%d %H:%M:%S} UTC."
        )
