"""Alerts that break one rule of the contract each: what is sent, where it is wrong, what is said.

They are JSON texts, because some are wrong in ways that no Python value is.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from config import clock


def _alert(**fields: Any) -> str:
    return json.dumps({"trigger_type": "rate_limit", **fields})


_AHEAD = (clock.now() + timedelta(minutes=30)).isoformat()

# The text of the alert, the pointer, a part of the detail.
BAD_ALERTS: dict[str, tuple[str, str, str]] = {
    "trigger missing": ("{}", "/trigger_type", "required"),
    "trigger null": ('{"trigger_type": null}', "/trigger_type", "required"),
    "trigger of another type": ('{"trigger_type": 1}', "/trigger_type", "1 to 50"),
    "trigger upper case": ('{"trigger_type": "Rate"}', "/trigger_type", "a-z"),
    "trigger too long": (json.dumps({"trigger_type": "x" * 51}), "/trigger_type", "1 to 50"),
    "trigger with a line end": (json.dumps({"trigger_type": "a\n"}), "/trigger_type", "a-z"),
    "trigger reserved": (
        '{"trigger_type": "rate_limit_overflow"}',
        "/trigger_type",
        "reserved",
    ),
    "unknown field": (_alert(colour="red"), "/colour", "not a known field"),
    "unknown field with a slash": (_alert(**{"a/b~c": 1}), "/a~1b~0c", "not a known field"),
    "call of another type": (_alert(call_id=["a"]), "/call_id", "1 to 128"),
    "call empty": (_alert(call_id=""), "/call_id", "1 to 128"),
    "call with a space": (_alert(call_id="a b"), "/call_id", "A-Z"),
    "call too long": (_alert(call_id="x" * 129), "/call_id", "1 to 128"),
    "run with a slash": (_alert(run_id="a/b"), "/run_id", "A-Z"),
    "agent with a control": (_alert(agent_id="a\x01"), "/agent_id", "A-Z"),
    "group empty": (_alert(group_key=""), "/group_key", "1 to 200"),
    "group too long": (_alert(group_key="x" * 201), "/group_key", "1 to 200"),
    "code too long": (_alert(error_code="x" * 201), "/error_code", "1 to 200"),
    "model empty": (_alert(model=""), "/model", "1 to 200"),
    "message too long": (_alert(error_message="x" * 2001), "/error_message", "2,000"),
    "value too long": (_alert(trigger_value="x" * 2001), "/trigger_value", "2,000"),
    "category with a space": (_alert(category="a b"), "/category", "a-z"),
    "synthetic as a number": (_alert(is_synthetic=1), "/is_synthetic", "true or false"),
    "synthetic as a word": (_alert(is_synthetic="yes"), "/is_synthetic", "true or false"),
    "time naive": (_alert(occurred_at="2026-01-01T00:00:00"), "/occurred_at", "offset"),
    "time as a number": (_alert(occurred_at=1_700_000_000), "/occurred_at", "RFC 3339"),
    "time of no day": (_alert(occurred_at="2026-02-30T00:00:00Z"), "/occurred_at", "RFC 3339"),
    "time before 1970": (_alert(occurred_at="1969-12-31T23:59:59Z"), "/occurred_at", "1970"),
    "time of year 0": (_alert(occurred_at="0000-01-01T00:00:00Z"), "/occurred_at", "RFC 3339"),
    "time far ahead": (_alert(occurred_at=_AHEAD), "/occurred_at", "5 minutes"),
    "time in 9999": (_alert(occurred_at="9999-12-31T23:59:59-12:00"), "/occurred_at", "5 min"),
    "cost as a number": (_alert(cost_delta_cents=1.5), "/cost_delta_cents", "decimal string"),
    "cost negative": (_alert(cost_delta_cents="-1"), "/cost_delta_cents", "not negative"),
    "cost too precise": (_alert(cost_delta_cents="1.00001"), "/cost_delta_cents", "4 after"),
    "cost too large": (_alert(cost_delta_cents="1" * 13), "/cost_delta_cents", "12 digits"),
    "cost with an exponent": (_alert(cost_delta_cents="1e3"), "/cost_delta_cents", "decimal"),
    "cost as the word NaN": (_alert(cost_delta_cents="NaN"), "/cost_delta_cents", "decimal"),
    "cost of other digits": (_alert(cost_delta_cents="\u0661"), "/cost_delta_cents", "decimal"),
    "cost NaN": (
        '{"trigger_type": "a", "cost_delta_cents": NaN}',
        "/cost_delta_cents",
        "finite",
    ),
    "cost Infinity": (
        '{"trigger_type": "a", "cost_delta_cents": Infinity}',
        "/cost_delta_cents",
        "finite",
    ),
    "cost -Infinity": (
        '{"trigger_type": "a", "cost_delta_cents": -Infinity}',
        "/cost_delta_cents",
        "finite",
    ),
    "NUL in a message": (_alert(error_message="a\0b"), "/error_message", "U+0000"),
    "NUL in a key": (_alert(metadata={"a\0": 1}), "/metadata", "U+0000"),
    "lone high surrogate": (
        '{"trigger_type": "a", "error_message": "\\ud800"}',
        "/error_message",
        "surrogate",
    ),
    "lone low surrogate": (
        '{"trigger_type": "a", "metadata": {"k": ["\\udc00 "]}}',
        "/metadata/k/0",
        "surrogate",
    ),
    "metadata as a list": (_alert(metadata=[1]), "/metadata", "JSON object"),
    "metadata one byte too large": (
        _alert(metadata={"k": "x" * (16 * 1024 - 8 + 1)}),
        "/metadata",
        "16 KiB",
    ),
    "huge integer": (_alert(metadata={"n": 2**53}), "/metadata/n", "2^53-1"),
    "integer of 5,000 digits": (
        '{"trigger_type": "a", "metadata": {"n": ' + "9" * 5000 + "}}",
        "/metadata/n",
        "2^53-1",
    ),
    "float out of range": (
        '{"trigger_type": "a", "metadata": {"n": 1e999}}',
        "/metadata/n",
        "finite",
    ),
    "nested too deep": (
        '{"trigger_type": "a", "metadata": {"d": ' + "[" * 40 + "]" * 40 + "}}",
        "/metadata/d",
        "32",
    ),
    "nested without end": (
        '{"trigger_type": "a", "metadata": {"d": ' + "[" * 50_000 + "]" * 50_000 + "}}",
        "/metadata/d",
        "32",
    ),
    "a list": ("[]", "", "JSON object"),
    "a string": ('"rate_limit"', "", "JSON object"),
}

# What no JSON reader can take apart; the whole text is refused.
MALFORMED: dict[str, bytes] = {
    "nothing": b"",
    "truncated": b'{"trigger_type": "rate_limit"',
    "two values": b'{"trigger_type": "a"} {"trigger_type": "b"}',
    "single quotes": b"{'trigger_type': 'a'}",
    "invalid UTF-8": b'{"trigger_type": "a", "error_message": "\xff"}',
    "invalid UTF-8 in metadata": b'{"trigger_type": "a", "metadata": {"k": "\xff"}}',
    "a raw line end": b'{"trigger_type": "a", "error_message": "a\nb"}',
}
