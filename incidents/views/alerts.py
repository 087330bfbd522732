"""Reporting alerts: one at a time, and in batches."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config import clock
from config.api.idempotency import IdempotentMixin
from config.api.parsers import check_charset, media_type, read_body
from config.api.views import TenantViewSet
from config.errors import Invalid, UnsupportedMediaType
from incidents.enums import Outcome
from incidents.models import Alert
from incidents.serializers import hooks
from incidents.serializers.incidents import (
    AlertAnswer,
    AlertBatch,
    AlertBody,
    BatchAnswer,
    IncidentSummary,
)
from incidents.services import aggregation, reports

JSON = "application/json"
NDJSON = "application/x-ndjson"

_summary = IncidentSummary()


class AlertViewSet(IdempotentMixin, TenantViewSet):
    """POST alerts/ and alerts/batch/: the doors for reports of failed calls."""

    queryset = Alert.objects.all()
    serializer_class = AlertAnswer
    action_scopes: ClassVar[dict[str, str]] = {"create": "ingest", "batch": "ingest"}
    action_examples: ClassVar[dict[str, dict[str, str]]] = {"batch": {NDJSON: hooks.NDJSON_EXAMPLE}}
    transactional = False  # absorb() is the transaction

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if self.action_map.get("post") != "create":
            return super().dispatch(request, *args, **kwargs)
        with aggregation.on_the_way():
            return super().dispatch(request, *args, **kwargs)

    @extend_schema(
        operation_id="report_alert",
        summary="Report one alert",
        request=AlertBody,
        responses={
            201: AlertAnswer,
            200: OpenApiResponse(AlertAnswer, "A duplicate, or prevented by a rule."),
        },
    )
    def create(self, request: Request) -> Response:
        _accept(request, JSON)
        at = clock.now()
        try:
            alert = reports.read_alert(read_body(request), at=at)
        except Invalid:
            aggregation.reject(tenant=self.tenant)
            raise
        placed = aggregation.absorb_one(tenant=self.tenant, report=alert, via=self.caller.key.name)
        incident = placed.incident and _summary.to_representation(placed.incident)
        status = 200 if placed.outcome in (Outcome.DUPLICATE, Outcome.PREVENTED) else 201
        return Response({"outcome": placed.outcome.label, "incident": incident}, status=status)

    @extend_schema(
        operation_id="report_alerts",
        summary="Report a batch of alerts",
        request={JSON: AlertBatch, NDJSON: hooks.NDJSON},
        responses=BatchAnswer,
    )
    def batch(self, request: Request) -> Response:
        kind = _accept(request, JSON, NDJSON)
        body = read_body(request)
        at = clock.now()
        intake = _read_lines(body, at) if kind == NDJSON else reports.read_batch(body, at=at)
        absorbed = aggregation.absorb(
            tenant=self.tenant,
            alerts=intake.alerts,
            rejected=len(intake.refusals),
            via=self.caller.key.name,
        )
        counts = {outcome.label: absorbed.counts.get(outcome, 0) for outcome in Outcome}
        return Response(
            {
                "received": intake.received,
                **counts,
                "incidents": list(absorbed.incidents),
                "errors": [
                    {"index": refusal.index, "pointer": error.pointer, "detail": error.detail}
                    for refusal in intake.refusals
                    for error in refusal.errors
                ],
            }
        )


def _read_lines(body: bytes, at: datetime) -> reports.Intake:
    """The alerts of an NDJSON body. Blank lines are nothing; the others keep their numbers."""
    lines = body.split(b"\n")
    numbers = [number for number, line in enumerate(lines) if line.strip()]
    if not 1 <= len(numbers) <= reports.MAX_LINES:
        raise Invalid.field("", f"must have 1 to {reports.MAX_LINES:,} lines")
    if len(numbers) == len(lines) or len(numbers) == numbers[-1] + 1:
        return reports.read_lines(lines[: len(numbers)], at=at)
    intake = reports.read_lines([lines[number] for number in numbers], at=at)
    intake.refusals = [
        reports.Refusal(numbers[refusal.index], refusal.errors) for refusal in intake.refusals
    ]
    return intake


def _accept(request: Request, *kinds: str) -> str:
    kind = media_type(request)
    if kind not in kinds:
        raise UnsupportedMediaType(f"This endpoint reads {' and '.join(kinds)}, not {kind!r}.")
    check_charset(request.META.get("CONTENT_TYPE", ""))
    return kind
