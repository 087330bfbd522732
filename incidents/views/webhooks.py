"""Webhooks: who is told of incidents, and what became of every telling."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.actors import Actor
from config.api import parameters
from config.api.idempotency import IdempotentMixin
from config.api.parameters import ListParameters, Parameters
from config.api.views import TenantViewSet
from incidents.enums import DeliveryStatus
from incidents.errors import DeliveryNotFound, EndpointNotFound
from incidents.models import WebhookDelivery, WebhookEndpoint
from incidents.serializers.webhooks import (
    DeliveryDetail,
    DeliveryRow,
    WebhookBody,
    WebhookChange,
    WebhookRow,
    WebhookWithSecret,
)
from incidents.services import webhooks

_DELIVERY = OpenApiParameter("delivery", UUID, OpenApiParameter.PATH)


class DeliveryListParameters(ListParameters):
    status = parameters.Choice(DeliveryStatus.choices, required=False)


class WebhookViewSet(IdempotentMixin, TenantViewSet):
    """Webhooks of the key's tenant."""

    queryset = WebhookEndpoint.objects.all()
    serializer_class = WebhookRow
    uuid_parameters: ClassVar[tuple[str, ...]] = ("pk", "delivery")
    action_scopes: ClassVar[dict[str, str]] = dict.fromkeys(
        (
            "list",
            "create",
            "retrieve",
            "change",
            "destroy",
            "rotate_secret",
            "list_deliveries",
            "retrieve_delivery",
            "redeliver",
        ),
        "admin",
    )
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {
        "list": ListParameters,
        "list_deliveries": DeliveryListParameters,
    }

    @extend_schema(summary="List webhooks", responses=WebhookRow(many=True))
    def list(self, request: Request) -> Response:
        return self.page(self.get_queryset(), WebhookRow)

    @extend_schema(
        summary="Make a webhook",
        description="The answer holds the secret, this once.",
        request=WebhookBody,
        responses={201: WebhookWithSecret},
    )
    def create(self, request: Request) -> Response:
        endpoint = webhooks.create(
            by=self._actor(), tenant=self.tenant, **WebhookBody.read(request.data)
        )
        return Response(WebhookWithSecret(endpoint).data, status=201)

    @extend_schema(summary="One webhook", responses=WebhookRow)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(WebhookRow(self._endpoint(pk)).data)

    @extend_schema(summary="Change a webhook", request=WebhookChange, responses=WebhookRow)
    def change(self, request: Request, pk: UUID) -> Response:
        endpoint = self._endpoint(pk)
        changes = WebhookChange.read(request.data)
        changed = webhooks.update(by=self._actor(), endpoint=endpoint, changes=changes)
        return Response(WebhookRow(changed).data)

    @extend_schema(
        summary="Delete a webhook, with its deliveries",
        responses={204: OpenApiResponse(description="It is gone.")},
    )
    def destroy(self, request: Request, pk: UUID) -> Response:
        webhooks.delete(by=self._actor(), endpoint=self._endpoint(pk))
        return Response(status=204)

    @extend_schema(
        summary="Give a webhook a new secret",
        description="The answer holds the secret, this once.",
        request=None,
        responses=WebhookWithSecret,
    )
    def rotate_secret(self, request: Request, pk: UUID) -> Response:
        endpoint = webhooks.rotate_secret(by=self._actor(), endpoint=self._endpoint(pk))
        return Response(WebhookWithSecret(endpoint).data)

    @extend_schema(summary="The log of a webhook", responses=DeliveryRow(many=True))
    def list_deliveries(self, request: Request, pk: UUID) -> Response:
        found = self._deliveries(pk)
        if (status := self.query.get("status")) is not None:
            found = found.filter(status=status)
        return self.page(found, DeliveryRow)

    @extend_schema(
        summary="One delivery, with its attempts", parameters=[_DELIVERY], responses=DeliveryDetail
    )
    def retrieve_delivery(self, request: Request, pk: UUID, delivery: UUID) -> Response:
        found = self._delivery(pk, delivery)
        return Response({**DeliveryDetail(found).data})

    @extend_schema(
        summary="Send a delivery again",
        description="With the next housekeeping, and the same webhook-id.",
        parameters=[_DELIVERY],
        request=None,
        responses=DeliveryRow,
    )
    def redeliver(self, request: Request, pk: UUID, delivery: UUID) -> Response:
        found = webhooks.redeliver(delivery=self._delivery(pk, delivery))
        return Response(DeliveryRow(found).data)

    def _actor(self) -> Actor:
        return Actor(via=self.caller.key.name)

    def _endpoint(self, pk: UUID) -> WebhookEndpoint:
        endpoint: WebhookEndpoint | None = self.one(pk)
        if endpoint is None:
            raise EndpointNotFound
        return endpoint

    def _deliveries(self, pk: UUID) -> QuerySet[WebhookDelivery]:
        return WebhookDelivery.objects.for_tenant(self.tenant).filter(endpoint=self._endpoint(pk))

    def _delivery(self, pk: UUID, delivery: UUID) -> WebhookDelivery:
        found = self._deliveries(pk).prefetch_related("log").filter(pk=delivery).first()
        if found is None:
            raise DeliveryNotFound
        return found
