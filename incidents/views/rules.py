"""Rules and what they prevented."""

from __future__ import annotations

from typing import ClassVar
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from config.actors import Actor
from config.api import parameters
from config.api.idempotency import IdempotentMixin
from config.api.parameters import ListParameters, Parameters
from config.api.views import TenantViewSet
from incidents.enums import RuleMode
from incidents.models import PolicyRule, Prevention
from incidents.serializers.rules import (
    EnabledAnswer,
    PreventionRow,
    RevisionRow,
    RuleBody,
    RuleChange,
    RuleRow,
)
from incidents.services import rules


class RuleListParameters(ListParameters):
    mode = parameters.Choice(RuleMode.choices, required=False)
    is_active = parameters.Boolean()
    policy_type = parameters.Identifier(required=False)


class EnabledParameters(Parameters):
    policy_id = parameters.Identifier(help_text="A rule's id, or a policy type.")


class PreventionListParameters(ListParameters):
    mode = parameters.Choice(RuleMode.choices, required=False)
    rule_id = parameters.Uuid(required=False)


class RuleViewSet(IdempotentMixin, TenantViewSet):
    """Rules of the key's tenant."""

    queryset = PolicyRule.objects.all()
    serializer_class = RuleRow
    action_scopes: ClassVar[dict[str, str]] = {
        "list": "read",
        "retrieve": "read",
        "revisions": "read",
        "enabled": "read",
        "create": "admin",
        "change": "admin",
    }
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {
        "list": RuleListParameters,
        "revisions": ListParameters,
        "enabled": EnabledParameters,
    }

    @extend_schema(summary="List rules", responses=RuleRow(many=True))
    def list(self, request: Request) -> Response:
        found = self.get_queryset()
        for name in ("mode", "is_active", "policy_type"):
            if (value := self.query.get(name)) is not None:
                found = found.filter(**{name: value})
        return self.page(found, RuleRow)

    @extend_schema(summary="One rule", responses=RuleRow)
    def retrieve(self, request: Request, pk: UUID) -> Response:
        return Response(RuleRow(rules.get(tenant=self.tenant, rule_id=pk)).data)

    @extend_schema(summary="Make a rule", request=RuleBody, responses={201: RuleRow})
    def create(self, request: Request) -> Response:
        body = RuleBody.read(request.data)
        actor = Actor(via=self.caller.key.name, name=body.pop("actor", None))
        rule = rules.create(tenant=self.tenant, by=actor, **body)
        return Response(RuleRow(rule).data, status=201)

    @extend_schema(summary="Change a rule", request=RuleChange, responses=RuleRow)
    def change(self, request: Request, pk: UUID) -> Response:
        rule = rules.get(tenant=self.tenant, rule_id=pk)
        changes = RuleChange.read(request.data)
        actor = Actor(via=self.caller.key.name, name=changes.pop("actor", None))
        return Response(RuleRow(rules.update(rule=rule, by=actor, changes=changes)).data)

    @extend_schema(summary="What a rule was, newest first", responses=RevisionRow(many=True))
    def revisions(self, request: Request, pk: UUID) -> Response:
        rule = rules.get(tenant=self.tenant, rule_id=pk)
        return self.page(rule.revisions.all(), RevisionRow)

    @extend_schema(summary="Whether a policy is enabled", responses=EnabledAnswer)
    def enabled(self, request: Request) -> Response:
        enabled = rules.is_enabled(tenant=self.tenant, policy=self.query["policy_id"])
        return Response({"enabled": enabled})


class PreventionViewSet(TenantViewSet):
    """What rules kept out of the incidents, or in shadow mode would have."""

    queryset = Prevention.objects.all()
    serializer_class = PreventionRow
    action_scopes: ClassVar[dict[str, str]] = {"list": "read"}
    action_parameters: ClassVar[dict[str, type[Parameters]]] = {"list": PreventionListParameters}

    @extend_schema(summary="List preventions", responses=PreventionRow(many=True))
    def list(self, request: Request) -> Response:
        found = self.get_queryset()
        for name in ("mode", "rule_id"):
            if (value := self.query.get(name)) is not None:
                found = found.filter(**{name: value})
        return self.page(found, PreventionRow)
