"""A small API over keys, with one of everything that the base offers."""

from __future__ import annotations

from typing import Any, ClassVar

from django.urls import path, re_path
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from config.actors import COMMAND_LINE
from config.api import problems
from config.api.fields import Identifier, JsonObject, StrictChar, StrictInteger, Timestamp
from config.api.idempotency import IdempotentMixin
from config.api.parameters import (
    Boolean,
    Choice,
    Integer,
    ListParameters,
    Ordering,
    Repeated,
    TimeZone,
)
from config.api.parameters import Timestamp as TimestampParameter
from config.api.parameters import Uuid as UuidParameter
from config.api.parsers import read_body
from config.api.serializers import StrictSerializer
from config.api.views import TenantViewSet
from config.errors import InvalidTransition
from config.tenancy.models import ApiKey
from config.tenancy.services import keys


class KeyParameters(ListParameters):
    name = Repeated(StrictChar(max_length=20), required=False)
    kind = Choice(["a", "b"], required=False)
    number = Integer(min_value=1, max_value=9, required=False)
    flag = Boolean()
    since = TimestampParameter(required=False)
    run = UuidParameter(required=False)
    tz = TimeZone(required=False)
    ordering = Ordering(["created_at", "last_used_at", "name", "expires_at"])


class Part(StrictSerializer):
    sku = Identifier()


class KeyBody(StrictSerializer):
    name = StrictChar(max_length=20)
    count = StrictInteger(max_value=10, required=False)
    metadata = JsonObject(required=False)
    parts = Part(many=True, required=False)


class KeySummary(serializers.Serializer):
    id = serializers.UUIDField()
    name = serializers.CharField()
    created_at = Timestamp()


class KeyViewSet(IdempotentMixin, TenantViewSet):
    queryset = ApiKey.objects.all()
    serializer_class = KeySummary
    action_scopes: ClassVar[dict[str, str]] = {
        "list": "read",
        "retrieve": "read",
        "create": "triage",
        "report": "ingest",
        "rename": "triage",
        "fail": "read",
        "refuse": "triage",
    }
    action_parameters: ClassVar[dict[str, Any]] = {"list": KeyParameters}
    natural_actions = frozenset({"report"})

    def list(self, request: Request) -> Response:
        queryset = self.get_queryset()
        if names := self.query.get("name"):
            queryset = queryset.filter(name__in=names)
        return self.page(queryset, KeySummary)

    def retrieve(self, request: Request, pk: Any) -> Response:
        return Response(KeySummary(self.get_object()).data)

    def create(self, request: Request) -> Response:
        body = KeyBody.read(request.data)
        key, _ = keys.issue(
            by=COMMAND_LINE, tenant_id=self.tenant.pk, name=body["name"], scopes=["read"]
        )
        return Response({"id": key.pk, "name": key.name}, status=201)

    def report(self, request: Request) -> Response:
        return Response({"size": len(read_body(request))})

    def rename(self, request: Request, pk: Any) -> Response:
        key = self.get_object()
        ApiKey.objects.filter(pk=key.pk).update(name="renamed")
        raise InvalidTransition("A key cannot be renamed.")

    def fail(self, request: Request) -> Response:
        raise RuntimeError("not meant")

    def refuse(self, request: Request) -> Response:
        keys.issue(by=COMMAND_LINE, tenant_id=self.tenant.pk, name="undone", scopes=["read"])
        return Response({"code": "refused"}, status=409)

    def forgotten(self, request: Request) -> Response:
        return Response({})


urlpatterns = [
    path("api/v1/keys/", KeyViewSet.as_view({"get": "list", "post": "create"})),
    path("api/v1/keys/report/", KeyViewSet.as_view({"post": "report"}, transactional=False)),
    path("api/v1/keys/fail/", KeyViewSet.as_view({"get": "fail"})),
    path("api/v1/keys/refuse/", KeyViewSet.as_view({"post": "refuse"})),
    path("api/v1/keys/forgotten/", KeyViewSet.as_view({"get": "forgotten"})),
    path("api/v1/keys/<str:pk>/", KeyViewSet.as_view({"get": "retrieve", "post": "rename"})),
    re_path(r"^api/", problems.unknown_address),
]
handler400 = problems.bad_request
handler403 = problems.permission_denied
handler404 = problems.page_not_found
handler500 = problems.server_error
