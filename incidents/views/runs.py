"""Runs, their traces and their failures: reported and read."""

from __future__ import annotations

from typing import ClassVar

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.api import parameters
from config.api.parameters import ListParameters, Parameters
from incidents.enums import FailureType, RunStatus
from incidents.models import Run, Trace
from incidents.serializers.incidents import IncidentSummary, names_of
from incidents.serializers.runs import (
    CompleteBody,
    ContaminationAnswer,
    FailureAnswer,
    FailureBody,
    FailureDetail,
    FailureRow,
    RunBody,
    RunRow,
    StepRow,
    TraceBody,
    TraceRow,
    TraceSummary,
)
from incidents.services import failures, runs, traces
from incidents.services.reads import Narrowing
from incidents.views.reporting import ReportingViewSet, checked_run_id, given, summary
from incidents.views.summaries import page_of_summaries

_OF_TRACE = [name for name in names_of(TraceSummary()) if name != "step_count"]


class RunListParameters(ListParameters):
    status = parameters.Choice(RunStatus.choices, required=False)
    agent_id = parameters.Identifier(required=False)


class RunViewSet(ReportingViewSet):
    """Runs of the key's tenant, by the platform's own names for them."""

    queryset = Run.objects.all()
    serializer_class = RunRow
    natural_actions = frozenset({"create", "complete", "store_trace", "fail"})
    counted_actions = frozenset({"fail"})
    action_scopes: ClassVar[dict[str, str]] = {
        "create": "ingest",
        "complete": "ingest",
        "store_trace": "ingest",
        "fail": "ingest",
        "list": "read",
        "retrieve": "read",
        "trace": "read",
        "failure": "read",
        "incidents": "read",
        "contamination": "read",
    }
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {
        "list": RunListParameters,
        "incidents": ListParameters,
    }

    @extend_schema(
        summary="Announce a run",
        request=RunBody,
        responses={201: RunRow, 200: OpenApiResponse(RunRow, "It was known; blanks are filled.")},
    )
    def create(self, request: Request) -> Response:
        body = RunBody.read(request.data)
        announced = runs.announce(tenant=self.tenant, **given(body))
        return Response(RunRow(announced.run).data, status=201 if announced.created else 200)

    @extend_schema(summary="End a run", request=CompleteBody, responses=RunRow)
    def complete(self, request: Request, run_id: str) -> Response:
        checked_run_id(run_id)
        body = CompleteBody.read(request.data)
        run = runs.complete(
            tenant=self.tenant,
            run_id=run_id,
            status=RunStatus(body["status"]),
            **given(body, "status"),
        )
        return Response(RunRow(run).data)

    @extend_schema(
        summary="Store the whole trace",
        request=TraceBody,
        responses={201: TraceSummary, 200: OpenApiResponse(TraceSummary, "It had a trace.")},
    )
    def store_trace(self, request: Request, run_id: str) -> Response:
        checked_run_id(run_id)
        body = TraceBody.read(request.data)
        stored = traces.store(
            tenant=self.tenant,
            run_id=run_id,
            trace_id=body["trace_id"],
            steps=[traces.StepFacts(**given(step)) for step in body["steps"]],
            violation_step_index=body.get("violation_step_index"),
            violation_timestamp=body.get("violation_timestamp"),
        )
        answer = _trace(stored.trace, step_count=len(body["steps"]))
        return Response(answer, status=201 if stored.created else 200)

    @extend_schema(summary="The trace of a run, whole", responses=TraceRow)
    def trace(self, request: Request, run_id: str) -> Response:
        trace = traces.get(tenant=self.tenant, run_id=run_id)
        steps = traces.steps(trace=trace)
        answer = _trace(trace, step_count=len(steps))
        return Response({**answer, "steps": StepRow(steps, many=True).data})

    @extend_schema(
        summary="Report a failed call of a run",
        request=FailureBody,
        responses={201: FailureAnswer, 200: OpenApiResponse(FailureAnswer, "A repeat.")},
    )
    def fail(self, request: Request, run_id: str) -> Response:
        checked_run_id(run_id)
        body = FailureBody.read(request.data)
        recorded = failures.record(
            tenant=self.tenant,
            by=self.actor(),
            run_id=run_id,
            failure_type=FailureType(body["failure_type"]),
            captured=body.get("evidence"),
            **given(body, "failure_type", "evidence"),
        )
        return Response(
            {
                "failure": FailureRow(recorded.failure).data,
                "incident": summary(recorded.incident),
                "outcome": recorded.outcome.label,
            },
            status=201 if recorded.created else 200,
        )

    @extend_schema(summary="List runs", responses=RunRow(many=True))
    def list(self, request: Request) -> Response:
        found = self.get_queryset()
        for name in ("status", "agent_id"):
            if (value := self.query.get(name)) is not None:
                found = found.filter(**{name: value})
        return self.page(found, RunRow)

    @extend_schema(summary="One run", responses=RunRow)
    def retrieve(self, request: Request, run_id: str) -> Response:
        return Response(RunRow(runs.get(tenant=self.tenant, run_id=run_id)).data)

    @extend_schema(summary="The latest failure of a run", responses=FailureDetail)
    def failure(self, request: Request, run_id: str) -> Response:
        runs.get(tenant=self.tenant, run_id=run_id)
        failure = failures.latest(tenant=self.tenant, run_id=run_id)
        return Response(FailureDetail(failure).data)

    @extend_schema(
        summary="The incidents of any alert of a run", responses=IncidentSummary(many=True)
    )
    def incidents(self, request: Request, run_id: str) -> Response:
        runs.get(tenant=self.tenant, run_id=run_id)
        return page_of_summaries(self, Narrowing(run_id=run_id))

    @extend_schema(
        summary="What else is recorded of a run that failed", responses=ContaminationAnswer
    )
    def contamination(self, request: Request, run_id: str) -> Response:
        runs.get(tenant=self.tenant, run_id=run_id)
        found = failures.contamination(tenant=self.tenant, run_id=run_id)
        return Response(ContaminationAnswer(found).data)


def _trace(trace: Trace, *, step_count: int) -> dict[str, object]:
    answer = {name: getattr(trace, name) for name in _OF_TRACE}
    return {**answer, "step_count": step_count}
