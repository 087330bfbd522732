"""Idempotency-Key: a POST that may be sent again and happens once."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response

from config.api import renderers
from config.api.parsers import read_body
from config.api.views import Handler, TenantViewSet
from config.errors import Invalid
from config.tenancy import scope
from config.tenancy.services import idempotency

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
_KEY: Final = re.compile(r"[!-~]{1,255}")

if TYPE_CHECKING:
    _Base = TenantViewSet
else:
    _Base = object


class _NotKept(Exception):
    """Carries a refusal that was returned, not raised, out of the transaction it must undo."""

    def __init__(self, response: HttpResponseBase) -> None:
        self.response = response


class IdempotentMixin(_Base):
    """Honours Idempotency-Key on POST; goes before the viewset among the bases.

    The first 2xx answer is kept for a day with the work it answers for; a repeat gets it with
    ``Idempotency-Replayed: true``. The actions in ``natural_actions`` ignore the header, because
    what they report has an identity of its own.
    """

    natural_actions: frozenset[str] = frozenset()

    def perform(self, handler: Handler, request: Request) -> HttpResponseBase:
        presented = request.META.get("HTTP_IDEMPOTENCY_KEY")
        if presented is None or request.method != "POST" or self.action in self.natural_actions:
            return super().perform(handler, request)
        if not _KEY.fullmatch(presented):
            raise Invalid.field("", f"{HEADER} must be 1 to 255 visible ASCII characters")

        def work() -> idempotency.Answer:
            response = handler(request, *self.args, **self.kwargs)
            if not isinstance(response, Response) or not 200 <= response.status_code < 300:
                raise _NotKept(response)
            body = b"" if response.data is None else renderers.encode(response.data)
            return idempotency.Answer(response.status_code, body)

        try:
            with scope.tenant(self.tenant.pk, plan_once=self.plan_once()):
                answer = idempotency.once(
                    tenant=self.tenant,
                    key=presented,
                    fingerprint=idempotency.fingerprint(path=request.path, body=read_body(request)),
                    work=work,
                )
        except _NotKept as refusal:
            return refusal.response
        response = HttpResponse(
            answer.body, status=answer.status, content_type=renderers.JSONRenderer.media_type
        )
        if answer.replayed:
            response[REPLAYED] = "true"
        return response
