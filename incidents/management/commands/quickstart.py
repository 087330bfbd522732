"""From nothing to a served Firebreak with something to look at."""

from __future__ import annotations

import io
import os
import secrets
import socket
import sys
import time
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.live import Live
from rich.table import Table

from config import clock
from config.actors import COMMAND_LINE
from config.tenancy.models import ApiKey, Tenant
from config.tenancy.services import keys, tenants
from incidents.services import demonstration

TENANT = "demo"
ADMIN = "admin"
KEY_NAME = "quickstart"
_PACE = 0.05
_SEVERITY_STYLE = {"low": "blue", "medium": "yellow", "high": "dark_orange", "critical": "bold red"}


class Command(BaseCommand):
    help = (
        "Prepares the database, makes a demo tenant with 90 days of history, lets a flood of "
        "1,000 failing calls fold into one incident, prints an admin user and a key, and serves."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--no-serve", action="store_true", help="stop before serving")
        parser.add_argument("--port", type=int, default=8000, help="default: %(default)s")

    def handle(self, *args: Any, no_serve: bool, port: int, **options: Any) -> None:
        if not 1 <= port <= 65_535:
            raise CommandError("--port takes 1 to 65535.")
        if not no_serve:
            _check_free(port)
        console = Console(highlight=False)
        console.print("[bold]Preparing the database[/bold]")
        call_command("migrate", verbosity=0)
        tenant = tenants.ensure(tenant_id=TENANT)
        alerts = demonstration.make_history(tenant=tenant, until=clock.now())
        if alerts:
            console.print(f"Tenant [bold]{TENANT}[/bold]: 90 days of history, {alerts:,} alerts.")
        else:
            console.print(f"Tenant [bold]{TENANT}[/bold] has its history already.")
        incident = _show_flood(console, tenant)
        call_command("housekeeping", stdout=io.StringIO())
        password = _ensure_admin()
        key = _renew_key()
        base = f"http://127.0.0.1:{port}"
        console.print()
        if password:
            console.print(
                f"Admin     {base}/admin/  user [bold]{ADMIN}[/bold], password "
                f"[bold]{password}[/bold]"
            )
        else:
            console.print(
                f"Admin     {base}/admin/  user [bold]{ADMIN}[/bold], password as before "
                f"(or: python manage.py changepassword {ADMIN})"
            )
        console.print(f"API key   [bold]{key}[/bold]")
        console.print(f"API docs  {base}/api/docs/")
        console.print(
            f"Try       curl -H 'Authorization: Bearer {key}' {base}/api/v1/incidents/{incident}/",
            soft_wrap=True,
        )
        if no_serve:
            return
        console.print(f"\nServing on {base} (stop with Ctrl-C)")
        sys.stdout.flush()
        os.chdir(settings.BASE_DIR)
        os.execv(  # noqa: S606 - our own interpreter, our own arguments
            sys.executable,
            [
                sys.executable,
                "-m",
                "granian",
                "--interface",
                "wsgi",
                "--host",
                "127.0.0.1",
                "--port",
                str(port),
                "--workers",
                "2",
                "--blocking-threads",
                "4",
                # Without it the death of one worker ends them all.
                "--respawn-failed-workers",
                "--log-level",
                "warning",
                "config.wsgi:application",
            ],
        )


def _show_flood(console: Console, tenant: Tenant) -> str:
    """Draws the flood as it folds; the id of the incident that it became."""
    with Live(console=console, refresh_per_second=20) as live:
        for wave in demonstration.flood(tenant=tenant):
            table = Table(title="1,000 failing calls arrive", title_justify="left")
            for column in ("calls reported", "incidents", "calls affected", "severity"):
                table.add_column(column, justify="right")
            style = _SEVERITY_STYLE[wave.severity.label]
            table.add_row(
                f"{wave.calls_sent:,}",
                f"{wave.incidents}",
                f"{wave.calls_affected:,}",
                f"[{style}]{wave.severity.label}[/{style}]",
            )
            live.update(table)
            if console.is_terminal:
                time.sleep(_PACE)  # slow enough to watch
    console.print(
        f"\n{wave.calls_sent:,} calls became {wave.incidents} incident"
        f"{'s' if wave.incidents != 1 else ''}: {wave.incident_id}"
    )
    return wave.incident_id


def _ensure_admin() -> str | None:
    """Creates the admin user with a new password; None when there is one already."""
    users = get_user_model().objects
    if users.filter(username=ADMIN).exists():
        return None
    password = secrets.token_urlsafe(12)
    users.create_superuser(ADMIN, password=password)
    return password


def _renew_key() -> str:
    """A new key of the demo tenant; what earlier quickstarts printed stops working."""
    for prefix in ApiKey.objects.filter(
        tenant_id=TENANT, name=KEY_NAME, revoked_at__isnull=True
    ).values_list("prefix", flat=True):
        keys.revoke(by=COMMAND_LINE, prefix=prefix)
    _, plaintext = keys.issue(
        by=COMMAND_LINE,
        tenant_id=TENANT,
        name=KEY_NAME,
        scopes=["ingest", "read", "triage", "export", "admin"],
    )
    return plaintext


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise CommandError(f"Port {port} cannot be used: {error.strerror}.") from error
