"""OTLP/HTTP: where exporters of OpenTelemetry and of Langfuse send their traces."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from config.actors import Actor
from config.api.authentication import ApiKeyAuthentication
from config.api.parsers import check_charset, media_type, read_body
from config.api.renderers import JSONRenderer
from config.api.views import TenantViewSet
from config.errors import UnsupportedMediaType
from incidents.models import Run
from incidents.senders import otlp
from incidents.serializers import hooks
from incidents.serializers.runs import RunRow
from incidents.services import tracing
from incidents.views.credentials import BasicKeyAuthentication

# The codes of gRPC that a google.rpc.Status names, by the HTTP status that it comes with.
_CODES: Final = {
    400: 3,  # INVALID_ARGUMENT
    401: 16,  # UNAUTHENTICATED
    403: 7,  # PERMISSION_DENIED
    404: 5,  # NOT_FOUND
    405: 12,  # UNIMPLEMENTED
    409: 10,  # ABORTED
    413: 3,
    415: 3,
    429: 8,  # RESOURCE_EXHAUSTED
    503: 14,  # UNAVAILABLE
}
_UNKNOWN: Final = 2


class OtlpViewSet(TenantViewSet):
    """POST v1/traces: answers in the encoding of the request, as the specification has it."""

    queryset = Run.objects.all()
    serializer_class = RunRow
    authentication_classes = [ApiKeyAuthentication, BasicKeyAuthentication]
    action_scopes: ClassVar[dict[str, str]] = {"export": "ingest", "export_langfuse": "ingest"}
    action_examples: ClassVar[dict[str, dict[str, Any]]] = {
        "export": {otlp.JSON: hooks.SPANS_EXAMPLE}
    }
    # A refusal is a google.rpc.Status, in either encoding.
    refusal: ClassVar[dict[str, Any]] = {
        otlp.JSON: {"schema": hooks.STATUS},
        otlp.PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
    }
    transactional = False  # the service is the transaction

    @extend_schema(
        operation_id="export_traces",
        summary="Export traces by OTLP/HTTP",
        description="An ExportTraceServiceRequest; the answer is an ExportTraceServiceResponse, "
        "a refusal a google.rpc.Status, both in the encoding of the request.",
        request={otlp.PROTOBUF: OpenApiTypes.BINARY, otlp.JSON: hooks.SPANS},
        responses={
            (200, otlp.PROTOBUF): OpenApiTypes.BINARY,
            (200, otlp.JSON): OpenApiResponse(OpenApiTypes.OBJECT, "What was rejected, if any."),
        },
    )
    def export(self, request: Request) -> HttpResponse:
        kind = media_type(request)
        if kind not in (otlp.PROTOBUF, otlp.JSON):
            raise UnsupportedMediaType(
                f"This endpoint reads {otlp.PROTOBUF} and {otlp.JSON}, not {kind!r}."
            )
        encoding = _encoding(request)
        if encoding == otlp.JSON:
            check_charset(request.META.get("CONTENT_TYPE", ""))
        decoded = tracing.ingest(
            tenant=self.tenant,
            by=Actor(via=self.caller.key.name),
            data=read_body(request),
            encoding=encoding,
        )
        body = otlp.answer(
            encoding=encoding, rejected=decoded.rejected, explanation=decoded.explanation
        )
        return HttpResponse(body, content_type=encoding)

    @extend_schema(exclude=True)
    def export_langfuse(self, request: Request) -> HttpResponse:
        """The same, at the address that Langfuse's clients have built in."""
        return self.export(request)

    def perform_content_negotiation(
        self, request: Request, force: bool = False
    ) -> tuple[BaseRenderer, str]:
        return JSONRenderer(), JSONRenderer.media_type

    def handle_exception(self, exc: Exception) -> Any:
        refused = super().handle_exception(exc)
        if not isinstance(refused, Response):
            return refused
        problem: dict[str, Any] = refused.data
        encoding = _encoding(self.request)
        body = otlp.refusal(
            encoding=encoding,
            code=_CODES.get(refused.status_code, _UNKNOWN),
            message=problem["detail"],
        )
        headers = {name: value for name, value in refused.items() if name.lower() != "content-type"}
        return HttpResponse(
            body, status=refused.status_code, content_type=encoding, headers=headers
        )


def _encoding(request: Request) -> otlp.Encoding:
    return otlp.PROTOBUF if media_type(request) == otlp.PROTOBUF else otlp.JSON
