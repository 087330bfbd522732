"""erase_tenant: deletes a tenant and everything that belongs to it."""

from __future__ import annotations

from argparse import ArgumentParser
from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from config.actors import COMMAND_LINE
from config.tenancy.models import Tenant
from config.tenancy.services import erasure


class Command(BaseCommand):
    help = (
        "Deletes a tenant and everything that belongs to it, for good: keys, reports, incidents, "
        "evidence, lessons, rules, bundles. The audit log keeps that it was done. Without --yes "
        "it says what would go, and exits with 1. Run it again when it was cut short."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("tenant", help="the tenant's id")
        parser.add_argument("--yes", action="store_true", help="do it")

    def handle(self, *args: Any, tenant: str, yes: bool, **options: Any) -> None:
        if not Tenant.objects.filter(pk=tenant).exists():
            raise CommandError(f"There is no tenant {tenant!r}.")
        if not yes:
            self._show(erasure.contents(tenant))
            raise CommandError(f"Nothing was erased: repeat with --yes to erase {tenant}.")
        erased: Counter[str] = Counter()
        for table, rows in erasure.erase(tenant_id=tenant, by=COMMAND_LINE):
            erased[table] += rows
        self._show(erased)
        self.stdout.write(f"Tenant {tenant} is erased.")

    def _show(self, rows: dict[str, int]) -> None:
        for table, count in sorted(rows.items()):
            self.stdout.write(f"{count:>12,}  {table}")
