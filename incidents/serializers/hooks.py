"""What other systems send, as they define it, in JSON Schema with an example each.

For the documentation: what reads them is incidents.senders. What is not named here is let pass.
"""

from __future__ import annotations

from typing import Any, Final

# One alert a line, which JSON Schema has no word for.
NDJSON: Final[dict[str, Any]] = {
    "type": "string",
    "description": "1 to 10,000 lines, each an alert as JSON.",
}
NDJSON_EXAMPLE: Final = (
    '{"trigger_type": "rate_limit", "call_id": "call-1"}\n'
    '{"trigger_type": "rate_limit", "call_id": "call-2"}\n'
)

_TIME: Final = {"type": "string", "format": "date-time"}
_STRINGS: Final = {"type": "object", "additionalProperties": {"type": "string"}}

ALERTMANAGER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["version", "groupKey", "alerts"],
    "properties": {
        "version": {"const": "4"},
        "groupKey": {"type": "string", "minLength": 1},
        "alerts": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1000,
            "items": {
                "type": "object",
                "required": ["status", "fingerprint", "startsAt", "labels"],
                "properties": {
                    "status": {"enum": ["firing", "resolved"]},
                    "fingerprint": {"type": "string", "pattern": "^[0-9A-Za-z]{1,64}$"},
                    "startsAt": _TIME,
                    "labels": _STRINGS,
                    "annotations": _STRINGS,
                },
            },
        },
    },
}
ALERTMANAGER_EXAMPLE: Final[dict[str, Any]] = {
    "version": "4",
    "groupKey": '{}:{alertname="ProviderDown"}',
    "alerts": [
        {
            "status": "firing",
            "fingerprint": "c4ab27f1d0e9",
            "startsAt": "2026-01-31T12:00:00Z",
            "labels": {"alertname": "ProviderDown", "severity": "critical"},
            "annotations": {"summary": "The provider does not answer."},
        }
    ],
}

CLOUDEVENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "pattern": "^[!-~]+$"},
        "type": {"type": "string", "minLength": 1},
        "time": _TIME,
    },
}
CLOUDEVENT_EXAMPLE: Final[dict[str, Any]] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "/agents/planner",
    "type": "agent.failed",
    "time": "2026-01-31T12:00:00Z",
    "data": {"error_message": "No answer within 60 s", "run_id": "nightly-42"},
}
CLOUDEVENTS: Final[dict[str, Any]] = {
    "type": "array",
    "minItems": 1,
    "maxItems": 1000,
    "items": CLOUDEVENT,
}

SENTRY: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["data"],
    "properties": {
        "data": {
            "type": "object",
            "required": ["event"],
            "properties": {
                "event": {
                    "type": "object",
                    "required": ["event_id"],
                    "properties": {
                        "event_id": {"type": "string", "minLength": 1},
                        "datetime": _TIME,
                        "timestamp": {"type": "number", "minimum": 0, "maximum": 253402300799},
                    },
                }
            },
        }
    },
}
SENTRY_EXAMPLE: Final[dict[str, Any]] = {
    "action": "triggered",
    "data": {
        "event": {
            "event_id": "e4874d664c3540c1a32eab185f12c5ab",
            "issue_id": "1170820242",
            "title": "ReferenceError: heck is not defined",
            "level": "error",
            "datetime": "2026-01-31T12:00:00Z",
            "tags": [["run_id", "nightly-42"]],
        },
        "triggered_rule": "Very important",
    },
}

# The part of OTLP's JSON that a trace cannot be told without.
SPANS: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "resourceSpans": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "scopeSpans": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "properties": {"spans": {"type": "array", "items": {"type": "object"}}},
                        },
                    }
                },
            },
        }
    },
}
SPANS_EXAMPLE: Final[dict[str, Any]] = {
    "resourceSpans": [
        {
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "5b8efff798038103d269b633813fc60c",
                            "spanId": "eee19b7ec3c1b174",
                            "name": "chat",
                            "startTimeUnixNano": "1769860800000000000",
                            "endTimeUnixNano": "1769860801000000000",
                            "status": {"code": 2, "message": "No answer"},
                        }
                    ]
                }
            ]
        }
    ]
}
STATUS: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["code", "message"],
    "properties": {"code": {"type": "integer"}, "message": {"type": "string"}},
}
