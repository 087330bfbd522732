"""Put a new signing key in force."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.actors import COMMAND_LINE
from config.errors import FirebreakError
from exports.services import keys


class Command(BaseCommand):
    help = (
        "Put a new signing key in force and retire the others. Old bundles go on verifying. "
        "With SIGNING_KEY_FILE or SIGNING_KEY set, set it to the new key first."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            pair = keys.rotate(by=COMMAND_LINE)
        except FirebreakError as error:
            raise CommandError(error.detail) from error
        if pair.notice:
            self.stderr.write(pair.notice)
        self.stdout.write(pair.key_id)
