"""How endpoints document themselves in OpenAPI."""

from __future__ import annotations

from typing import Any, Final

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema as BaseAutoSchema
from drf_spectacular.utils import OpenApiParameter

from config.api import problems, values
from config.api.permissions import ANY_SCOPE, required_scope

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


_RETRY_AFTER: Final = {
    "Retry-After": {"description": "In so many seconds.", "schema": {"type": "integer"}}
}
# What an operation may refuse with, by the name of the answer and the status it comes with.
_REFUSALS: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "400": ("Invalid", "Breaks a rule of the API; `errors` names every place.", {}),
    "401": (
        "Unauthenticated",
        "No key, or one that is unknown, revoked or expired.",
        {"WWW-Authenticate": {"schema": {"type": "string"}}},
    ),
    "403": ("Forbidden", "The key does not have the scope.", {}),
    "404": ("NotFound", "There is no such thing, or it is another tenant's.", {}),
    "406": ("NotAcceptable", "Answers are JSON, and `Accept` asks for something else.", {}),
    "409": ("Conflict", "The present state does not allow it.", {}),
    "413": ("TooLarge", "The body, or what it inflates to, is over 16 MiB.", {}),
    "415": ("UnsupportedMediaType", "Neither that media type nor that encoding is read.", {}),
    "429": ("RateLimited", "Over the tenant's limit of requests a minute.", _RETRY_AFTER),
    "503": ("Unavailable", "Nothing was kept; the same may succeed later.", _RETRY_AFTER),
}


# Names that callers choose, where they are a part of an address.
_IN_PATHS: Final = {"run_id": values.RUN_ID.pattern, "category": values.SLUG.pattern}


class AutoSchema(BaseAutoSchema):
    """Adds what our views declare.

    Query parameters and scopes by action, Idempotency-Key, an example of every body (the
    ``example`` of its serializer, or of the view's ``action_examples``), and what may be refused.
    """

    def get_operation(self, *args: Any) -> dict[str, Any] | None:
        operation: dict[str, Any] | None = super().get_operation(*args)
        if operation is None:
            return None
        if body := operation.get("requestBody"):
            if isinstance(self.get_request_serializer(), dict):
                # What is not made of fields cannot be left out for having none that it needs.
                body["required"] = True
            for media_type, content in body["content"].items():
                if (example := self._example(media_type)) is not None:
                    content["example"] = example
        for status in sorted(self._refused_with()):
            name, description, headers = _REFUSALS[status]
            answer: dict[str, Any] = {"$ref": f"#/components/responses/{name}"}
            # A view that does not refuse by problem documents says by what.
            if (content := getattr(self.view, "refusal", None)) is not None:
                answer = {"description": description, "headers": headers, "content": content}
            operation["responses"].setdefault(status, answer)
        return operation

    def get_auth(self) -> list[dict[str, Any]]:
        """The ways to say who calls, each with the scope that a key needs for it."""
        scope = required_scope(self.view, self.method)
        needed = [] if scope in (None, ANY_SCOPE) else [scope]
        return [dict.fromkeys(way, needed) for way in super().get_auth()]

    def _map_basic_serializer(self, serializer: Any, direction: str) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_basic_serializer(  # type: ignore[no-untyped-call]
            serializer, direction
        )
        # What refuses unknown fields says so; not by its class, which is defined after this.
        if direction == "request" and getattr(serializer, "refuses_unknown", False):
            schema["additionalProperties"] = False
        return schema

    def _map_serializer_field(
        self, field: Any, direction: str, bypass_extensions: bool = False
    ) -> dict[str, Any]:
        schema: dict[str, Any] = super()._map_serializer_field(  # type: ignore[no-untyped-call]
            field, direction, bypass_extensions
        )
        # A field may read less than it writes.
        if direction == "request" and (pattern := getattr(field, "reads", None)):
            schema = {**schema, "pattern": pattern}
        return schema

    def _example(self, media_type: str) -> Any:
        by_action = getattr(self.view, "action_examples", {})
        examples: dict[str, Any] = by_action.get(getattr(self.view, "action", None), {})
        if media_type in examples:
            return examples[media_type]
        serializer = self.get_request_serializer()
        if isinstance(serializer, dict):
            serializer = serializer.get(media_type)
        return getattr(serializer, "example", None)

    def _refused_with(self) -> set[str]:
        reads_body = self.method in ("POST", "PUT", "PATCH")
        refused = {"400", "401", "406", "429", "503"}
        if required_scope(self.view, self.method) != ANY_SCOPE:
            refused.add("403")
        if reads_body or "{" in self.path:
            refused.add("404")
        if reads_body:
            refused |= {"409", "413", "415"}
        return refused

    def get_override_parameters(self) -> list[Any]:
        found: list[Any] = [
            OpenApiParameter(
                name, {"type": "string", "pattern": f"^{pattern}$"}, OpenApiParameter.PATH
            )
            for name, pattern in _IN_PATHS.items()
            if f"{{{name}}}" in self.path
        ]
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
    """Postprocessing: the refusals that operations refer to."""
    components = result.setdefault("components", {})
    components.setdefault("schemas", {})["Problem"] = _PROBLEM
    components["responses"] = {
        name: {
            "description": description,
            **({"headers": headers} if headers else {}),
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for name, description, headers in _REFUSALS.values()
    }
    return result
