"""Whether the service lives, and whether it can do its work."""

from __future__ import annotations

from typing import Any

from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config.operations.models import HousekeepingTask

_migrated = False


@require_safe
@never_cache
def live(request: HttpRequest) -> JsonResponse:
    """GET /healthz: the process answers; nothing else is asked."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def ready(request: HttpRequest) -> JsonResponse:
    """GET /readyz: 200 when the database answers and every migration is applied, else 503.

    When housekeeping last ran is told, but does not decide.
    """
    answer: dict[str, Any] = {"status": "ok", "database": "ok", "migrations": "ok"}
    try:
        connection.ensure_connection()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        if not _is_migrated():
            answer |= {"status": "unavailable", "migrations": "pending"}
        else:
            answer["housekeeping"] = {
                "last_run_at": HousekeepingTask.objects.order_by("-last_run_at")
                .values_list("last_run_at", flat=True)
                .first()
            }
    except DatabaseError:
        answer |= {"status": "unavailable", "database": "unavailable", "migrations": "unknown"}
    return JsonResponse(answer, status=200 if answer["status"] == "ok" else 503)


def _is_migrated() -> bool:
    # Once applied they stay applied while this process lives; asking costs many file reads.
    global _migrated
    if not _migrated:
        executor = MigrationExecutor(connection)
        _migrated = not executor.migration_plan(executor.loader.graph.leaf_nodes())
    return _migrated
