"""GET /metrics for Prometheus: what the database knows, the same from every worker.

Apps register functions that yield metric families; they are asked at every scrape. Latencies are
counted in each worker and summed over their files (prometheus-client's multiprocess mode).
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterable

from django.conf import settings
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import CollectorRegistry, Histogram, multiprocess
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from config import clock
from config.operations.models import HousekeepingTask

Source = Callable[[], Iterable[Metric]]
_sources: list[Source] = []

REQUEST_SECONDS = Histogram(
    "firebreak_request_seconds",
    "Time to answer a request, in seconds.",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)


def register(source: Source) -> None:
    """Adds a function that yields metric families when somebody asks."""
    _sources.append(source)


class _FromSources(Collector):
    def collect(self) -> Iterable[Metric]:
        for source in (_housekeeping, *_sources):
            yield from source()


def _housekeeping() -> Iterable[Metric]:
    family = GaugeMetricFamily(
        "firebreak_housekeeping_lag_seconds",
        "Seconds since a housekeeping task last ran.",
        labels=["task"],
    )
    now = clock.now()
    for name, last in HousekeepingTask.objects.values_list("name", "last_run_at"):
        family.add_metric([name], (now - last).total_seconds())
    yield family


@require_safe
@never_cache
def show(request: HttpRequest) -> HttpResponse:
    """The page of metrics; with METRICS_TOKEN set, only for who brings it as a Bearer token."""
    token = settings.METRICS_TOKEN
    if token:
        brought = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(brought.encode(), token.encode()):
            return HttpResponse(status=401, headers={"WWW-Authenticate": "Bearer"})
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, path=str(settings.METRICS_DIR))  # type: ignore[no-untyped-call]
    registry.register(_FromSources())
    try:
        page = generate_latest(registry)
    except DatabaseError:
        return HttpResponse(status=503, headers={"Retry-After": "1"})
    return HttpResponse(page, content_type=CONTENT_TYPE_LATEST)
