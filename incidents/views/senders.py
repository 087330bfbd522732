"""What monitors send: Alertmanager, CloudEvents, Sentry; and what a tenant wants of them."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from django.http.response import HttpResponseBase
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework.request import Request
from rest_framework.response import Response

from config import clock
from config.actors import Actor
from config.api.authentication import ApiKeyAuthentication
from config.api.parsers import check_charset, media_type, read_body
from config.api.views import Handler, TenantViewSet
from config.errors import Invalid, NotFound, UnsupportedMediaType
from incidents.enums import Outcome
from incidents.models import Alert, SenderSettings
from incidents.senders import alertmanager, cloudevents, sentry
from incidents.serializers import hooks
from incidents.serializers.incidents import AlertAnswer, BatchAnswer
from incidents.serializers.senders import (
    HookAnswer,
    NotificationAnswer,
    SenderSettingsChange,
    SenderSettingsRow,
)
from incidents.services import aggregation, senders
from incidents.services.aggregation import Absorbed
from incidents.services.reports import Refusal
from incidents.views.credentials import SentryAuthentication
from incidents.views.reporting import summary

JSON: Final = "application/json"


class SenderViewSet(TenantViewSet):
    """The doors for other systems' reports; one that is refused counts as rejected."""

    queryset = Alert.objects.all()
    serializer_class = AlertAnswer
    action_scopes: ClassVar[dict[str, str]] = {"alertmanager": "ingest", "cloudevents": "ingest"}
    action_examples: ClassVar[dict[str, dict[str, Any]]] = {
        "alertmanager": {JSON: hooks.ALERTMANAGER_EXAMPLE},
        "cloudevents": {
            cloudevents.STRUCTURED: hooks.CLOUDEVENT_EXAMPLE,
            cloudevents.BATCH: [hooks.CLOUDEVENT_EXAMPLE],
        },
    }
    transactional = False  # the services are the transactions

    def perform(self, handler: Handler, request: Request) -> HttpResponseBase:
        try:
            return super().perform(handler, request)
        except Invalid:
            aggregation.reject(tenant=self.tenant)
            raise

    @property
    def actor(self) -> Actor:
        return Actor(via=self.caller.key.name)

    @extend_schema(
        operation_id="report_alertmanager",
        summary="Take a notification of Prometheus Alertmanager (webhook version 4)",
        request={JSON: hooks.ALERTMANAGER},
        responses=NotificationAnswer,
    )
    def alertmanager(self, request: Request) -> Response:
        _accept_json(request)
        notification = alertmanager.read(read_body(request), at=clock.now())
        notified = senders.notify(tenant=self.tenant, by=self.actor, notification=notification)
        answer = _batch(notified.absorbed, notification.received, notification.refusals)
        return Response(
            {**answer, "ended": len(notification.resolved), "resolved": notified.resolved}
        )

    @extend_schema(
        operation_id="report_cloudevents",
        summary="Take events by CloudEvents 1.0: binary, structured, or a batch",
        description="An event in binary mode is told by its headers, which begin with `ce-`; its "
        "body is the data, of any media type.",
        request={
            cloudevents.STRUCTURED: hooks.CLOUDEVENT,
            cloudevents.BATCH: hooks.CLOUDEVENTS,
        },
        responses={
            201: AlertAnswer,
            200: OpenApiResponse(
                PolymorphicProxySerializer(
                    "EventsAnswer", [BatchAnswer, AlertAnswer], resource_type_field_name=None
                ),
                "A batch; or, as one event, a duplicate.",
            ),
        },
    )
    def cloudevents(self, request: Request) -> Response:
        check_charset(request.META.get("CONTENT_TYPE", ""))
        events = cloudevents.read(
            read_body(request),
            headers={name.lower(): value for name, value in request.headers.items()},
            media_type=media_type(request),
            at=clock.now(),
        )
        absorbed = senders.report(
            tenant=self.tenant,
            by=self.actor,
            reports=events.reports,
            rejected=len(events.refusals),
        )
        if events.is_batch:
            return Response(_batch(absorbed, events.received, events.refusals))
        return _single(absorbed)


class SentryViewSet(SenderViewSet):
    """The door for Sentry, which signs what it sends instead of presenting a key."""

    authentication_classes = [SentryAuthentication, ApiKeyAuthentication]
    action_scopes: ClassVar[dict[str, str]] = {"sentry": "ingest"}
    action_examples: ClassVar[dict[str, dict[str, Any]]] = {"sentry": {JSON: hooks.SENTRY_EXAMPLE}}

    @extend_schema(
        operation_id="report_sentry",
        summary="Take an issue alert of Sentry",
        parameters=[
            OpenApiParameter(
                "prefix", str, OpenApiParameter.PATH, description="Of a key with scope ingest."
            )
        ],
        request={JSON: hooks.SENTRY},
        responses={201: HookAnswer, 200: HookAnswer},
    )
    def sentry(self, request: Request, prefix: str) -> Response:
        if prefix != self.caller.key.prefix:
            raise NotFound
        _accept_json(request)
        if request.META.get("HTTP_SENTRY_HOOK_RESOURCE", sentry.RESOURCE) != sentry.RESOURCE:
            # Taken, so that Sentry does not switch its integration off, and about nothing of ours.
            return Response({"outcome": None, "incident": None})
        report = sentry.read(read_body(request), at=clock.now())
        return _single(senders.report(tenant=self.tenant, by=self.actor, reports=[report]))


class SenderSettingsViewSet(TenantViewSet):
    """GET and PATCH senders/settings/."""

    queryset = SenderSettings.objects.all()
    serializer_class = SenderSettingsRow
    action_scopes: ClassVar[dict[str, str]] = {"retrieve": "admin", "change": "admin"}

    @extend_schema(summary="What is wanted of senders", responses=SenderSettingsRow)
    def retrieve(self, request: Request) -> Response:
        return Response(SenderSettingsRow(senders.settings_of(tenant=self.tenant)).data)

    @extend_schema(
        summary="Change what is wanted of senders",
        request=SenderSettingsChange,
        responses=SenderSettingsRow,
    )
    def change(self, request: Request) -> Response:
        changes = SenderSettingsChange.read(request.data)
        if changes.get("sentry_secret", "") is None:
            changes["sentry_secret"] = ""
        settings = senders.change_settings(
            by=Actor(via=self.caller.key.name), tenant=self.tenant, changes=changes
        )
        return Response(SenderSettingsRow(settings).data)


def _accept_json(request: Request) -> None:
    if media_type(request) != JSON:
        raise UnsupportedMediaType(f"This endpoint reads {JSON}.")
    check_charset(request.META.get("CONTENT_TYPE", ""))


def _single(absorbed: Absorbed) -> Response:
    outcome = Outcome(absorbed.outcomes[0])
    id_ = absorbed.incident_ids[0]
    incident = None if id_ is None else absorbed.incidents[id_]
    status = 200 if outcome in (Outcome.DUPLICATE, Outcome.PREVENTED) else 201
    return Response({"outcome": outcome.label, "incident": summary(incident)}, status=status)


def _batch(absorbed: Absorbed, received: int, refusals: list[Refusal]) -> dict[str, Any]:
    return {
        "received": received,
        **{outcome.label: absorbed.counts.get(outcome, 0) for outcome in Outcome},
        "incidents": list(absorbed.incidents),
        "errors": [
            {"index": refusal.index, "pointer": error.pointer, "detail": error.detail}
            for refusal in refusals
            for error in refusal.errors
        ],
    }
