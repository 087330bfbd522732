"""Serializers that refuse what they do not know, and say where."""

from __future__ import annotations

from itertools import islice
from typing import Any, NoReturn, TypeVar, cast

from rest_framework import serializers

from config.api import problems
from config.api.strictjson import MAX_ERRORS

SerializerT = TypeVar("SerializerT", bound=serializers.Serializer)

_instances: dict[type[serializers.Serializer], serializers.Serializer] = {}


def shared(kind: type[SerializerT]) -> SerializerT:
    """One instance per class: building the fields costs more than using them.

    ``run_validation`` leaves nothing behind on it, so requests may share it.
    """
    instance = _instances.get(kind)
    if instance is None:
        instance = _instances[kind] = kind()
    return cast(SerializerT, instance)


class StrictSerializer(serializers.Serializer):
    """A request body: only its fields, by name; every refusal is an Invalid with JSON pointers.

    In a view, ``SomeBody.read(request.data)`` is all there is to do. Nested serializers should
    be strict ones too.
    """

    default_error_messages = {"invalid": "must be a JSON object"}
    refuses_unknown = True

    @classmethod
    def read(cls, data: Any) -> dict[str, Any]:
        """The validated values of a parsed body; Invalid naming everything that is wrong."""
        try:
            validated: dict[str, Any] = shared(cls).run_validation(data)
        except serializers.ValidationError as error:
            raise problems.invalid(error) from None
        return validated

    def is_valid(self, *, raise_exception: bool = False) -> bool:
        try:
            return super().is_valid(raise_exception=raise_exception)
        except serializers.ValidationError as error:
            raise problems.invalid(error) from None

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self._refuse({"non_field_errors": [self.error_messages["invalid"]]})
        errors: dict[str, Any] = {}
        values: dict[str, Any] = {}
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors = dict(cast(dict[str, Any], error.detail))
        known = {name for name, field in self.fields.items() if not field.read_only}
        unknown = (name for name in data if name not in known)
        errors |= {key: ["is not a known field"] for key in islice(unknown, MAX_ERRORS)}
        if errors:
            self._refuse(errors)
        return values

    def _refuse(self, errors: dict[str, Any]) -> NoReturn:
        raise serializers.ValidationError(errors, code="invalid")
