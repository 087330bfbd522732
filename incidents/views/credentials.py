"""Who calls, when a sender cannot present a Bearer key."""

from __future__ import annotations

import base64
import binascii

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from config.api.authentication import Caller
from config.api.parsers import read_body
from config.tenancy.errors import KeyRefused
from config.tenancy.models import ApiKey
from config.tenancy.services import keys
from incidents.services import senders


class BasicKeyAuthentication(BaseAuthentication):
    """``Authorization: Basic``, whose password is the key; the user may be anything.

    Langfuse's clients send their public key as the user and their secret key as the password.
    """

    def authenticate(self, request: Request) -> tuple[Caller, ApiKey] | None:
        scheme, _, presented = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            decoded = base64.b64decode(presented.strip(), validate=True).decode()
            key = keys.authenticate(decoded.partition(":")[2])
        except (KeyRefused, binascii.Error, UnicodeError):
            raise AuthenticationFailed(KeyRefused.detail, code=KeyRefused.code) from None
        return Caller(key), key

    def authenticate_header(self, request: Request) -> str:
        return 'Basic realm="firebreak"'


class SentryAuthentication(BaseAuthentication):
    """``Sentry-Hook-Signature``: the body, signed with the secret that the tenant gave us.

    Sentry presents no key. The address names one by its prefix: it says whose hook it is and
    what it may do, the signature that it is theirs.
    """

    def authenticate(self, request: Request) -> tuple[Caller, ApiKey] | None:
        presented = request.META.get("HTTP_SENTRY_HOOK_SIGNATURE")
        if presented is None:
            return None
        prefix = (request.parser_context or {}).get("kwargs", {}).get("prefix", "")
        try:
            key = senders.key_of_hook(
                prefix=prefix, body=read_body(request), presented=str(presented)
            )
        except KeyRefused:
            raise AuthenticationFailed(
                "The signature is not valid.", code=KeyRefused.code
            ) from None
        return Caller(key), key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="firebreak"'


class BasicKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "incidents.views.credentials.BasicKeyAuthentication"
    name = "basicKey"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {"type": "http", "scheme": "basic", "description": "The password is an API key."}


class SentryScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "incidents.views.credentials.SentryAuthentication"
    name = "sentrySignature"

    def get_security_definition(self, auto_schema: object) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Sentry-Hook-Signature",
            "description": "HMAC-SHA256 over the body with the tenant's Sentry secret, in hex.",
        }
