"""Reporting, reading and deciding about lessons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.actors import Actor
from config.api.idempotency import IdempotentMixin
from config.api.parameters import Parameters
from config.api.serializers import StrictSerializer
from config.api.views import TenantViewSet
from incidents.enums import Severity
from lessons.enums import LessonType
from lessons.errors import LessonNotFound
from lessons.filters import LessonFilter, LessonListParameters, StatisticsParameters
from lessons.models import Lesson
from lessons.serializers import (
    ActorBody,
    CriticalSuccessBody,
    DeferBody,
    DismissBody,
    LessonBody,
    LessonDetail,
    LessonRow,
    LessonStatisticsAnswer,
    NearThresholdBody,
    NotCreatedAnswer,
    ReportedAnswer,
)
from lessons.services import lifecycle, reporting, statistics
from lessons.services.reporting import Recorded


class LessonViewSet(IdempotentMixin, TenantViewSet):
    """Lessons of the key's tenant."""

    queryset = Lesson.objects.all()
    serializer_class = LessonDetail
    action_scopes: ClassVar[dict[str, str]] = {
        "list": "read",
        "retrieve": "read",
        "stats": "read",
        "create": "ingest",
        "near_threshold": "ingest",
        "critical_success": "ingest",
        "defer": "triage",
        "dismiss": "triage",
        "convert": "triage",
        "reactivate": "triage",
    }
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {
        "list": LessonListParameters,
        "stats": StatisticsParameters,
    }

    @extend_schema(summary="List lessons", responses=LessonRow(many=True))
    def list(self, request: Request) -> Response:
        return self.page(LessonFilter(request.query_params, self.get_queryset()).qs, LessonRow)

    @extend_schema(summary="One lesson", responses=LessonDetail)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(LessonDetail(self._lesson(pk)).data)

    @extend_schema(summary="Numbers of lessons", responses=LessonStatisticsAnswer)
    def stats(self, request: Request) -> Response:
        found = statistics.of_tenant(
            tenant=self.tenant, include_synthetic=self.query.get("include_synthetic", False)
        )
        return Response(LessonStatisticsAnswer(found).data)

    @extend_schema(
        summary="Report a lesson",
        request=LessonBody,
        responses={201: LessonDetail, 200: LessonDetail},
    )
    def create(self, request: Request) -> Response:
        body = LessonBody.read(request.data)
        severity = body.get("severity")
        recorded = reporting.record(
            tenant=self.tenant,
            by=self._actor(body),
            lesson_type=LessonType(body["lesson_type"]),
            title=body["title"],
            description=body["description"],
            severity=Severity.named(severity) if severity else None,
            incident_id=body.get("incident_id"),
            run_id=body.get("run_id"),
            proposed_action=body.get("proposed_action"),
            detected_pattern=body.get("detected_pattern"),
        )
        return Response(LessonDetail(recorded.lesson).data, status=201 if recorded.created else 200)

    @extend_schema(
        summary="Report a run that came near a threshold",
        request=NearThresholdBody,
        responses={201: ReportedAnswer, 200: NotCreatedAnswer},
    )
    def near_threshold(self, request: Request) -> Response:
        body = NearThresholdBody.read(request.data)
        return self._reported(
            reporting.note_near_threshold(tenant=self.tenant, by=self._actor({}), **body)
        )

    @extend_schema(
        summary="Report a critical success",
        request=CriticalSuccessBody,
        responses={201: ReportedAnswer, 200: NotCreatedAnswer},
    )
    def critical_success(self, request: Request) -> Response:
        body = CriticalSuccessBody.read(request.data)
        return self._reported(
            reporting.note_critical_success(tenant=self.tenant, by=self._actor({}), **body)
        )

    @extend_schema(summary="Defer", request=DeferBody, responses=LessonDetail)
    def defer(self, request: Request, pk: UUID) -> Response:
        return self._act(request, pk, DeferBody, lifecycle.defer, "until")

    @extend_schema(summary="Dismiss", request=DismissBody, responses=LessonDetail)
    def dismiss(self, request: Request, pk: UUID) -> Response:
        return self._act(request, pk, DismissBody, lifecycle.dismiss, "reason")

    @extend_schema(summary="Convert to a proposal", request=ActorBody, responses=LessonDetail)
    def convert(self, request: Request, pk: UUID) -> Response:
        return self._act(request, pk, ActorBody, lifecycle.convert)

    @extend_schema(summary="Reactivate", request=ActorBody, responses=LessonDetail)
    def reactivate(self, request: Request, pk: UUID) -> Response:
        return self._act(request, pk, ActorBody, lifecycle.reactivate)

    def _lesson(self, pk: UUID) -> Lesson:
        lesson: Lesson | None = self.one(pk)
        if lesson is None:
            raise LessonNotFound
        return lesson

    def _act(
        self,
        request: Request,
        pk: UUID,
        reader: type[StrictSerializer],
        act: Callable[..., Lesson],
        *arguments: str,
    ) -> Response:
        lesson = self._lesson(pk)
        body = reader.read(request.data)
        changed = act(
            lesson=lesson, by=self._actor(body), **{name: body[name] for name in arguments}
        )
        return Response(LessonDetail(changed).data)

    def _reported(self, recorded: Recorded) -> Response:
        if recorded.created:
            return Response(ReportedAnswer(recorded.lesson).data, status=201)
        return Response({"created": False, "reason": recorded.reason})

    def _actor(self, body: Mapping[str, Any]) -> Actor:
        return Actor(via=self.caller.key.name, name=body.get("actor"))
