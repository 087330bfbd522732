"""Who calls: the bearer of an API key."""

from __future__ import annotations

from dataclasses import dataclass

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from config.tenancy.errors import KeyRefused
from config.tenancy.models import ApiKey, Tenant
from config.tenancy.services import keys


@dataclass(frozen=True, slots=True)
class Caller:
    """The ``request.user`` of an API request: a key, not a person."""

    key: ApiKey
    is_authenticated: bool = True

    @property
    def tenant(self) -> Tenant:
        return self.key.tenant

    def __str__(self) -> str:
        return self.key.name


class ApiKeyAuthentication(BaseAuthentication):
    """``Authorization: Bearer <key>``; the key becomes ``request.auth``."""

    def authenticate(self, request: Request) -> tuple[Caller, ApiKey] | None:
        scheme, _, presented = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        try:
            key = keys.authenticate(presented.strip())
        except KeyRefused as error:
            raise AuthenticationFailed(error.detail, code=error.code) from None
        return Caller(key), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="firebreak"'
