"""Prints the patterns among a tenant's incidents of the last hours."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from config.api.values import format_timestamp
from config.tenancy.models import Tenant
from incidents.services import patterns


class Command(BaseCommand):
    help = "Prints what stands out: categories that cluster, severities that spike, cascades."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--tenant", required=True, metavar="T", help="whose incidents")
        parser.add_argument(
            "--window-hours", type=int, default=24, metavar="N", help="1 to 168; 24 by default"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        hours = options["window_hours"]
        if not 1 <= hours <= 168:
            raise CommandError("--window-hours takes 1 to 168.")
        tenant = Tenant.objects.filter(pk=options["tenant"]).first()
        if tenant is None:
            raise CommandError(f"There is no tenant {options['tenant']!r}.")
        found = patterns.detect(tenant=tenant, window_hours=hours)
        if options["json"]:
            answer = asdict(found) | {"since": format_timestamp(found.since)}
            self.stdout.write(json.dumps(answer, default=str, indent=2))
            return
        self.stdout.write(f"{found.incidents} incidents in the last {hours} hours")
        for pattern in found.patterns:
            self.stdout.write(
                f"{pattern.pattern_type.value}\t{pattern.dimension}\t{pattern.count} incidents\t"
                f"confidence {pattern.confidence:.2f}\t"
                f"{' '.join(str(id_) for id_ in pattern.incident_ids)}"
            )
