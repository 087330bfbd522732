"""Exporting, downloading, verifying and reviewing bundles."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from config.actors import Actor
from config.api.idempotency import IdempotentMixin
from config.api.negotiation import JSONNegotiation
from config.api.parameters import ListParameters, Parameters
from config.api.parsers import MAX_BODY, media_type, read_body
from config.api.views import TenantViewSet
from config.errors import TooLarge, UnsupportedMediaType
from config.tenancy import scope
from exports.enums import BundleType
from exports.errors import BundleNotFound
from exports.filters import BundleFilter, BundleListParameters, DownloadParameters
from exports.models import Bundle, SigningKey
from exports.serializers import (
    BundleCreated,
    BundleDetail,
    BundleRow,
    ExportBody,
    KeyRow,
    ReviewBody,
    ReviewRow,
    VerificationAnswer,
)
from exports.services import downloads, exporting, reviews, verification
from incidents.errors import IncidentNotFound
from incidents.models import Incident

FILES = ("application/json", "application/zip")


class ExportViewSet(IdempotentMixin, TenantViewSet):
    """Bundles of the key's tenant, and the public keys that they are verified with."""

    queryset = Bundle.objects.without_files()
    serializer_class = BundleDetail
    action_scopes: ClassVar[dict[str, str]] = {
        "list": "export",
        "create": "export",
        "retrieve": "export",
        "keys": "export",
        "verify": "export",
        "list_reviews": "export",
        "review": "export",
    }
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {
        "list": BundleListParameters,
        "keys": ListParameters,
        "list_reviews": ListParameters,
    }
    # Verifying changes nothing, so there is no first answer to keep.
    natural_actions = frozenset({"verify"})

    @extend_schema(summary="List exports", responses=BundleRow(many=True))
    def list(self, request: Request) -> Response:
        return self.page(BundleFilter(request.query_params, self.get_queryset()).qs, BundleRow)

    @extend_schema(summary="Export an incident", request=ExportBody, responses={201: BundleCreated})
    def create(self, request: Request) -> Response:
        body = ExportBody.read(request.data)
        incident = Incident.objects.for_tenant(self.tenant).filter(pk=body["incident_id"]).first()
        if incident is None:
            raise IncidentNotFound
        exported = exporting.export(
            incident=incident,
            bundle_type=BundleType(body["bundle_type"]),
            by=self._actor(),
            reason=body.get("export_reason"),
            include_raw_steps=bool(body.get("include_raw_steps")),
            prepared_for=body.get("prepared_for"),
            period_start=body.get("compliance_period_start"),
            period_end=body.get("compliance_period_end"),
            auditor_notes=body.get("auditor_notes"),
        )
        # Where the private half lies is the operator's to know: the log says it.
        made = f"Signing key {exported.bundle.key_id} was made for this export."
        answer = BundleDetail(exported.bundle).data
        return Response(answer | {"notice": made if exported.notice else None}, status=201)

    @extend_schema(summary="One export", responses=BundleDetail)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(BundleDetail(self._bundle(pk)).data)

    @extend_schema(summary="Public keys", responses=KeyRow(many=True))
    def keys(self, request: Request) -> Response:
        return self.page(SigningKey.objects.all(), KeyRow)

    @extend_schema(
        summary="Verify a bundle",
        description=(
            "The body is the file, JSON or ZIP, gzipped or not. It is checked against the keys "
            "of this installation, never the one inside; a bundle of another tenant is not "
            "verified here. `verify_bundle` does the same offline, for larger files too."
        ),
        request=dict.fromkeys(FILES, OpenApiTypes.BINARY),
        responses=VerificationAnswer,
    )
    def verify(self, request: Request) -> Response:
        if media_type(request) not in FILES:
            raise UnsupportedMediaType(f"A bundle is {' or '.join(FILES)}.")
        try:
            file = read_body(request)
        except TooLarge as error:
            raise TooLarge(
                f"The file is over {MAX_BODY:,} bytes: verify it with the command verify_bundle."
            ) from error
        found = verification.verify_for(self.tenant.pk, file)
        return Response(VerificationAnswer(found).data)

    @extend_schema(summary="Reviews of an export", responses=ReviewRow(many=True))
    def list_reviews(self, request: Request, pk: UUID) -> Response:
        return self.page(self._bundle(pk).reviews.all(), ReviewRow)

    @extend_schema(summary="Review an export", request=ReviewBody, responses={201: ReviewRow})
    def review(self, request: Request, pk: UUID) -> Response:
        bundle = self._bundle(pk)
        body = ReviewBody.read(request.data)
        review = reviews.add(
            bundle=bundle, state=body["state"], notes=body.get("notes") or "", by=self._actor()
        )
        return Response(ReviewRow(review).data, status=201)

    def _bundle(self, pk: UUID) -> Bundle:
        bundle: Bundle | None = self.one(pk)
        if bundle is None:
            raise BundleNotFound
        return bundle

    def _actor(self) -> Actor:
        return Actor(via=self.caller.key.name)


class FileNegotiation(JSONNegotiation):
    """Files are of the type that was asked for by name, whatever else is accepted."""

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, renderer.media_type


class DownloadViewSet(TenantViewSet):
    """The files of a bundle, the same bytes every time.

    Handing one over is written into the audit log: a replica, which may answer other reads, could
    not do that.
    """

    queryset = Bundle.objects.without_files().select_related("key")
    serializer_class = BundleDetail
    content_negotiation_class = FileNegotiation
    action_scopes: ClassVar[dict[str, str]] = {"download": "export"}
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {"download": DownloadParameters}
    transactional = False

    @extend_schema(
        summary="Download an export",
        responses={
            (200, kind): OpenApiResponse(OpenApiTypes.BINARY)
            for kind in downloads.MEDIA_TYPES.values()
        },
    )
    def download(self, request: Request, pk: UUID) -> HttpResponse:
        with scope.tenant(self.tenant.pk):
            bundle: Bundle | None = self.one(pk)
            if bundle is None:
                raise BundleNotFound
            file = downloads.hand_over(
                bundle=bundle, form=self.query["as"], by=Actor(via=self.caller.key.name)
            )
        return as_attachment(file)


def as_attachment(file: downloads.Download) -> HttpResponse:
    """The answer that hands a file over, to be saved and never to be shown."""
    headers: dict[str, Any] = {
        "Content-Disposition": f'attachment; filename="{file.name}"',
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(file.content, content_type=file.media_type, headers=headers)
