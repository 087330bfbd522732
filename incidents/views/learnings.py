"""What one incident teaches, and the resolved ones that are like it."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db.models import Case, IntegerField, Value, When
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.api.parameters import ListParameters, Parameters
from config.api.views import TenantViewSet
from incidents.errors import IncidentNotFound
from incidents.models import Incident
from incidents.serializers.insights import LearningsAnswer, SimilarIncident
from incidents.services import postmortem


class LearningViewSet(TenantViewSet):
    """GET incidents/{id}/learnings/ and similar/."""

    queryset = Incident.objects.all()
    serializer_class = SimilarIncident
    action_scopes: ClassVar[dict[str, str]] = {"learnings": "read", "similar": "read"}
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {"similar": ListParameters}

    @extend_schema(summary="What an incident teaches", responses=LearningsAnswer)
    def learnings(self, request: Request, pk: UUID) -> Response:
        found = postmortem.of_incident(incident=self._incident(pk))
        return Response(LearningsAnswer(found).data)

    @extend_schema(
        summary="Similar incidents, the likest first", responses=SimilarIncident(many=True)
    )
    def similar(self, request: Request, pk: UUID) -> Response:
        ranked = postmortem.similar(incident=self._incident(pk))
        # The place among them in the last digit, what they share before it.
        likeness = Case(
            *(
                When(pk=id_, then=Value(10 * similarity.rank + place))
                for place, (id_, similarity) in enumerate(ranked)
            ),
            output_field=IntegerField(),
        )
        found = self.get_queryset().filter(pk__in=[id_ for id_, _ in ranked])
        return self.page(found.annotate(likeness=likeness), SimilarIncident, ordering=("likeness",))

    def _incident(self, pk: UUID) -> Incident:
        incident: Incident | None = self.one(pk, "tenant")
        if incident is None:
            raise IncidentNotFound
        return incident
