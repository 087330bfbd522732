"""What every endpoint is made of: a key's tenant, its scopes, and one transaction per change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, NoReturn, cast
from uuid import UUID

from django.db import models
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import GenericViewSet

from config.api import pagination, parameters
from config.api.authentication import Caller
from config.api.fields import Timestamp
from config.api.negotiation import JSONNegotiation
from config.api.parameters import Parameters
from config.api.parsers import ApiRequest, discard_rest
from config.api.permissions import ANY_SCOPE
from config.api.values import UUID_TEXT
from config.database import replica, routing
from config.errors import NotFound
from config.operations.logs import note_tenant
from config.tenancy import scope
from config.tenancy.models import ApiKey, Tenant
from config.tenancy.querysets import TenantScopedQuerySet
from config.tenancy.services import limits

Handler = Callable[..., HttpResponseBase]
_READING = frozenset({"GET", "HEAD"})


class TenantViewSet(GenericViewSet):
    """The base of every endpoint under /api/v1/.

    It decides in this order: 401, 403, 405, then 404, 400 and 415. A subclass declares, by
    action, ``action_scopes`` (what is not declared is denied) and ``action_parameters`` (without
    any, every query parameter is refused). Handlers then have ``self.tenant``, ``self.caller``
    and ``self.query`` (the values of the parameters), read bodies by
    ``SomeBody.read(request.data)`` and answer lists by :meth:`page`.

    A request runs in one transaction that sees only the key's tenant and commits before it is
    answered, unless ``transactional`` is false because its service sees to that. A handler
    refuses by raising.
    """

    action_scopes: ClassVar[dict[str, str]] = {}
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {}
    # Parts of the address that are UUIDs: given to the handler as such, 404 when they are not.
    uuid_parameters: ClassVar[tuple[str, ...]] = ("pk",)
    transactional: ClassVar[bool] = True
    # GET actions whose figures may be some seconds old, which lets a replica answer them under any
    # load. Others it answers when it shows all that was committed as the request arrived.
    may_lag: ClassVar[frozenset[str]] = frozenset()
    # Whether its statements are planned once for all; see config.tenancy.scope.
    plans_once: ClassVar[bool] = False

    # Not TRACE: an action of that name would answer it.
    http_method_names = ["get", "post", "put", "patch", "delete", "head", "options"]
    content_negotiation_class = JSONNegotiation
    metadata_class = None
    format_kwarg = None

    tenant: Tenant
    caller: Caller
    query: dict[str, Any]

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        prepared = ApiRequest(
            request,
            parsers=self.get_parsers(),
            authenticators=self.get_authenticators(),
            negotiator=self.get_content_negotiator(),
            parser_context=self.get_parser_context(request),
        )
        method = (request.method or "").lower()
        self.action = "metadata" if method == "options" else self.action_map.get(method) or ""
        return prepared

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {"Cache-Control": "no-store"}

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.args, self.kwargs = args, kwargs
        prepared = self.initialize_request(request, *args, **kwargs)
        self.request = prepared
        self.headers = self.default_response_headers
        try:
            self.initial(prepared, *args, **kwargs)
            method = (prepared.method or "").lower()
            handler: Handler = self.http_method_not_allowed
            if method in self.http_method_names:
                handler = getattr(self, method, handler)
            if handler != self.http_method_not_allowed:
                self._read_address(prepared)
            response: Any = self.perform(handler, prepared)
        except Exception as error:  # noqa: BLE001 (what was not meant is raised on)
            if not isinstance(error, (AuthenticationFailed, NotAuthenticated)):
                # For a stranger no worker waits.
                discard_rest(request)
            response = self.handle_exception(error)
        return self.finalize_response(prepared, response, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        self.perform_authentication(request)
        self.check_permissions(request)
        self.caller = cast(Caller, request.user)
        self.tenant = self.caller.tenant
        note_tenant(request._request, self.tenant.pk)
        kind: limits.Kind = "ingest" if self._scope() == "ingest" else "read"
        limits.check(tenant=self.tenant, kind=kind)
        negotiated = self.perform_content_negotiation(request)
        request.accepted_renderer, request.accepted_media_type = negotiated

    def _scope(self) -> str | None:
        return self.action_scopes.get(self.action or "")

    def raise_uncaught_exception(self, exc: Exception) -> NoReturn:
        raise exc

    def perform(self, handler: Handler, request: Request) -> HttpResponseBase:
        """Runs the handler of a request that may be run, in a transaction where it needs one."""
        if not self.transactional:
            return handler(request, *self.args, **self.kwargs)
        if request.method in _READING and replica.is_configured():
            try:
                if self._may_read_replica():
                    with (
                        routing.reading(routing.REPLICA),
                        scope.tenant(self.tenant.pk, plan_once=self.plan_once()),
                    ):
                        return handler(request, *self.args, **self.kwargs)
            except replica.FAILURES as error:
                # It is away, or took rows away that were being read: the primary has them.
                replica.monitor.failed(error)
        with scope.tenant(self.tenant.pk, plan_once=self.plan_once()):
            return handler(request, *self.args, **self.kwargs)

    def plan_once(self) -> bool:
        """Whether the transaction's statements are planned once for all; reports' always are."""
        return self.plans_once or self._scope() == "ingest"

    def _may_read_replica(self) -> bool:
        # What a list hides that was created after as_of is settled by a lock on the primary.
        if self.query.get("as_of") is not None:
            return False
        if self.action in self.may_lag:
            return replica.monitor.is_recent()
        return replica.monitor.has_all()

    def options(self, request: Any, *args: Any, **kwargs: Any) -> Response:
        return Response(status=204, headers={"Allow": ", ".join(self.allowed_methods)})

    def get_queryset(self) -> models.QuerySet[Any]:
        """The view's ``queryset``, and of that only the rows of the key's tenant."""
        if getattr(self, "swagger_fake_view", False):
            return super().get_queryset().none()
        return super().get_queryset().filter(tenant_id=self.tenant.pk)

    def one(self, pk: UUID, *related: str) -> Any:
        """The row of the view's ``queryset`` with this id and what is ``related`` to it.

        None when the key's tenant has no such row.
        """
        rows = cast(TenantScopedQuerySet, super().get_queryset())
        found = rows.for_tenant(self.tenant).filter(pk=pk)
        return (found.select_related(*related) if related else found).first()

    def page(
        self,
        queryset: models.QuerySet[Any],
        serializer: type[serializers.BaseSerializer] | Callable[[Any], Any],
        *,
        ordering: str | tuple[str, ...] | None = None,
    ) -> Response:
        """The page of a queryset that the request asks for by its :class:`ListParameters`.

        ``serializer`` is a serializer class or a function from a row to its JSON value. Without
        an ``ordering`` (see :func:`config.api.pagination.paginate`) the parameter of that name
        decides, then ``-created_at``.
        """
        if (as_of := self.query.get("as_of")) is not None:
            queryset = queryset.filter(created_at__lte=as_of)
        page = pagination.paginate(
            queryset,
            request=self.request,
            page_size=self.query["page_size"],
            cursor=self.query.get("cursor"),
            ordering=ordering or self.query.get("ordering", "-created_at"),
        )
        if isinstance(serializer, type):
            return Response(page.answer(serializer(page.rows, many=True).data))
        return Response(page.answer([serializer(row) for row in page.rows]))

    def parameters_of(self, action: str | None) -> type[Parameters] | None:
        """The query parameters that an action takes; None when it takes none."""
        return self.action_parameters.get(action or "")

    def _read_address(self, request: Request) -> None:
        for name, value in self.kwargs.items():
            if name in self.uuid_parameters:
                if not isinstance(value, UUID):
                    if not UUID_TEXT.fullmatch(value):
                        raise NotFound
                    self.kwargs[name] = UUID(value)
            elif isinstance(value, str) and "\0" in value:
                raise NotFound
        declared = self.parameters_of(self.action)
        if declared is not None:
            self.query = declared.read(request.query_params)
        elif request.method != "OPTIONS":
            parameters.refuse_all(request.query_params)
            self.query = {}


class WhoAmI(serializers.Serializer):
    """The key that calls, and whose it is."""

    tenant = serializers.CharField(source="tenant_id")
    key_name = serializers.CharField(source="name")
    prefix = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = Timestamp(allow_null=True)


class WhoAmIViewSet(TenantViewSet):
    """GET whoami/: open to any key."""

    action_scopes: ClassVar[dict[str, str]] = {"retrieve": ANY_SCOPE}
    serializer_class = WhoAmI
    queryset = ApiKey.objects.none()

    @extend_schema(operation_id="whoami", summary="The calling key", responses=WhoAmI)
    def retrieve(self, request: Request) -> Response:
        return Response(WhoAmI(self.caller.key).data)
