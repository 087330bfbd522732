"""How endpoints document themselves in OpenAPI."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema as BaseAutoSchema
from drf_spectacular.utils import OpenApiParameter

from config.api import problems

_FIELD_ERROR: Final = {
    "type": "object",
    "required": ["pointer", "detail"],
    "properties": {
        "pointer": {"type": "string", "description": "A JSON pointer, or /name of a parameter."},
        "detail": {"type": "string"},
    },
}
_PROBLEM: Final = {
    "type": "object",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string", "description": "Stable, for programs."},
        "errors": {"type": "array", "items": _FIELD_ERROR},
    },
}


class AutoSchema(BaseAutoSchema):
    """Adds what our views declare: query parameters by action, and Idempotency-Key."""

    def get_override_parameters(self) -> list[Any]:
        found: list[Any] = []
        declared = getattr(self.view, "parameters_of", None)
        if declared and (parameters := declared(getattr(self.view, "action", None))):
            found.append(parameters)
        if self._takes_idempotency_key():
            found.append(
                OpenApiParameter(
                    "Idempotency-Key",
                    {"type": "string", "pattern": "^[!-~]{1,255}$"},
                    OpenApiParameter.HEADER,
                    description="Repeats with the same key and body get the first answer.",
                )
            )
        return found

    def _takes_idempotency_key(self) -> bool:
        # By what it has, not by its class: views ask for this module while they are defined.
        natural = getattr(self.view, "natural_actions", None)
        action = getattr(self.view, "action", None)
        return self.method == "POST" and natural is not None and action not in natural


class ApiKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "config.api.authentication.ApiKeyAuthentication"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {"type": "http", "scheme": "bearer", "description": "An API key of one tenant."}


def add_problems(result: dict[str, Any], **kwargs: Any) -> dict[str, Any]:
    """Postprocessing: every operation may answer a problem document."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = _PROBLEM
    answer = {
        "description": "A refusal.",
        "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for operations in result["paths"].values():
        for operation in operations.values():
            operation["responses"].setdefault("default", answer)
    return result
