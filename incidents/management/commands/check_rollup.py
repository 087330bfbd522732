"""Proves the sums that insights are read from equal to the incidents they are sums of."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from incidents.services import rollup


class Command(BaseCommand):
    help = (
        "Compares the sums by hour and by day with the incidents, of every tenant. Exits with 1, "
        "naming where they differ, unless they are equal."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--rebuild", action="store_true", help="make the sums anew from the incidents first"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["rebuild"]:
            rollup.rebuild()
        found = rollup.differences()
        for difference in found:
            keys = ", ".join(str(key) for key in difference.keys)
            self.stderr.write(f"{difference.table}: {difference.tenant}, {keys}")
        if found:
            raise CommandError("The sums are not those of the incidents.")
        self.stdout.write("The sums are those of the incidents.")
