"""issue_api_key: a new key for a tenant, shown once."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.actors import COMMAND_LINE
from config.errors import FirebreakError
from config.tenancy.enums import Scope
from config.tenancy.services import keys


class Command(BaseCommand):
    help = (
        "Issues an API key and creates the tenant if it is new. "
        "The last line of standard output is the key; it is shown only here."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="the tenant's id: a-z, 0-9 and '-', at most 64")
        parser.add_argument(
            "--scopes", required=True, help=f"commas between: {','.join(Scope.values)}"
        )
        parser.add_argument("--name", default="command line", help="what the key is for")
        parser.add_argument(
            "--expires-in-days", type=int, metavar="N", help="never, unless this is given"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        scopes = [scope.strip() for scope in options["scopes"].split(",") if scope.strip()]
        try:
            key, plaintext = keys.issue(
                by=COMMAND_LINE,
                tenant_id=options["tenant"],
                name=options["name"],
                scopes=scopes,
                expires_in_days=options["expires_in_days"],
            )
        except FirebreakError as error:
            raise CommandError(error.detail) from error
        until = f", until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else ""
        self.stdout.write(
            f"Key {key.prefix} of tenant {key.tenant_id} for {', '.join(key.scopes)}{until}:"
        )
        self.stdout.write(plaintext)
