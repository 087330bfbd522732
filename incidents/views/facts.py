"""Violations, policy evaluations and costs: reported and read."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from config.api import parameters
from config.api.parameters import ListParameters, Parameters
from incidents.enums import Severity
from incidents.models import CostAnomaly, CostRecord, PolicyEvaluation, Violation
from incidents.serializers.facts import (
    CostAnomalyAnswer,
    CostAnomalyBody,
    CostAnomalyRow,
    CostRecordBody,
    CostRecordRow,
    EvaluationBody,
    EvaluationRow,
    TruthAnswer,
    ViolationAnswer,
    ViolationBody,
    ViolationRow,
)
from incidents.serializers.runs import EvidenceRow
from incidents.services import costs, evaluations, violations
from incidents.views.reporting import ReportingViewSet, given, summary


class _OfRunParameters(ListParameters):
    run_id = parameters.RunIdentifier(required=False)


class ViolationListParameters(_OfRunParameters):
    policy_id = parameters.Identifier(required=False)


class TruthParameters(Parameters):
    run_id = parameters.RunIdentifier()
    policy_id = parameters.Identifier()


class _FactViewSet(ReportingViewSet):
    row: ClassVar[type[Serializer]]
    natural_actions = frozenset({"create"})
    action_scopes: ClassVar[dict[str, str]] = {"create": "ingest", "list": "read"}
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {"list": _OfRunParameters}

    def list(self, request: Request) -> Response:
        found = self.get_queryset()
        for name in ("run_id", "policy_id"):
            if (value := self.query.get(name)) is not None:
                found = found.filter(**{name: value})
        return self.page(found, self.row)


class ViolationViewSet(_FactViewSet):
    """Broken policies."""

    queryset = Violation.objects.all()
    serializer_class = row = ViolationRow
    counted_actions = frozenset({"create"})
    action_scopes: ClassVar[dict[str, str]] = {
        "create": "ingest",
        "list": "read",
        "retrieve": "read",
        "truth": "read",
    }
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {
        "list": ViolationListParameters,
        "truth": TruthParameters,
    }

    @extend_schema(
        summary="Report a violation",
        request=ViolationBody,
        responses={201: ViolationAnswer, 200: OpenApiResponse(ViolationAnswer, "A repeat.")},
    )
    def create(self, request: Request) -> Response:
        body = ViolationBody.read(request.data)
        recorded = violations.record(
            tenant=self.tenant,
            by=self.actor(),
            severity=Severity.named(body.get("severity") or "medium"),
            captured=body.get("evidence"),
            **given(body, "severity", "evidence"),
        )
        return Response(
            {
                "violation": ViolationRow(recorded.violation).data,
                "incident": summary(recorded.incident),
                "evidence": recorded.evidence and EvidenceRow(recorded.evidence).data,
                "outcome": recorded.outcome.label,
            },
            status=201 if recorded.created else 200,
        )

    @extend_schema(summary="List violations", responses=ViolationRow(many=True))
    def list(self, request: Request) -> Response:
        return super().list(request)

    @extend_schema(summary="One violation", responses=ViolationRow)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(ViolationRow(violations.get(tenant=self.tenant, violation_id=pk)).data)

    @extend_schema(
        summary="What is on record of a run's violations of a policy", responses=TruthAnswer
    )
    def truth(self, request: Request) -> Response:
        found = violations.truth(tenant=self.tenant, **self.query)
        return Response(TruthAnswer(found).data)


class EvaluationViewSet(_FactViewSet):
    """What checking runs against their policies came to."""

    queryset = PolicyEvaluation.objects.all()
    serializer_class = row = EvaluationRow

    @extend_schema(
        summary="Record a policy evaluation",
        request=EvaluationBody,
        responses={201: EvaluationRow, 200: OpenApiResponse(EvaluationRow, "A repeat.")},
    )
    def create(self, request: Request) -> Response:
        body = EvaluationBody.read(request.data)
        recorded = evaluations.record(tenant=self.tenant, **body)
        return Response(
            EvaluationRow(recorded.evaluation).data, status=201 if recorded.created else 200
        )

    @extend_schema(summary="List policy evaluations", responses=EvaluationRow(many=True))
    def list(self, request: Request) -> Response:
        return super().list(request)


class CostRecordViewSet(_FactViewSet):
    """What requests cost."""

    queryset = CostRecord.objects.all()
    serializer_class = row = CostRecordRow

    @extend_schema(
        summary="Record a cost",
        request=CostRecordBody,
        responses={201: CostRecordRow, 200: OpenApiResponse(CostRecordRow, "A repeat.")},
    )
    def create(self, request: Request) -> Response:
        body = CostRecordBody.read(request.data)
        recorded = costs.record(tenant=self.tenant, **given(body))
        return Response(
            CostRecordRow(recorded.record).data, status=201 if recorded.created else 200
        )

    @extend_schema(summary="List cost records", responses=CostRecordRow(many=True))
    def list(self, request: Request) -> Response:
        return super().list(request)


class CostAnomalyViewSet(_FactViewSet):
    """Spending out of the ordinary."""

    queryset = CostAnomaly.objects.all()
    serializer_class = row = CostAnomalyRow
    counted_actions = frozenset({"create"})

    @extend_schema(
        summary="Report a cost anomaly",
        request=CostAnomalyBody,
        responses={201: CostAnomalyAnswer, 200: OpenApiResponse(CostAnomalyAnswer, "A repeat.")},
    )
    def create(self, request: Request) -> Response:
        body = CostAnomalyBody.read(request.data)
        recorded = costs.record_anomaly(
            tenant=self.tenant,
            by=self.actor(),
            severity=Severity.named(body["severity"]),
            **given(body, "severity"),
        )
        return Response(
            {
                "anomaly": CostAnomalyRow(recorded.anomaly).data,
                "incident": summary(recorded.incident),
                "outcome": recorded.outcome and recorded.outcome.label,
            },
            status=201 if recorded.created else 200,
        )

    @extend_schema(summary="List cost anomalies", responses=CostAnomalyRow(many=True))
    def list(self, request: Request) -> Response:
        return super().list(request)
