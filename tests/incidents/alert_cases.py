"""Every rule of an alert, as what breaks it and as what just holds it, in the bytes on the wire.

A case is an alert, the pointer of what is wrong with it, and words that its explanation holds.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest


class Case(NamedTuple):
    alert: bytes
    pointer: str
    words: str


def alert(**fields: Any) -> bytes:
    """An alert of trigger "x" with these fields; bytes go into the JSON as they are."""
    members = {"trigger_type": "x", **fields}
    return b"{%b}" % b",".join(
        json.dumps(name).encode()
        + b":"
        + (value if isinstance(value, bytes) else json.dumps(value, ensure_ascii=False).encode())
        for name, value in members.items()
    )


def _metadata(size: int) -> bytes:
    return b'{"k":"%b"}' % (b"m" * (size - 8))


def nested(depth: int) -> bytes:
    """Metadata that makes the alert nest to this depth (the alert itself is 1)."""
    return b'{"k":' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"}"


_SLUGS = ("trigger_type", "category")
_IDENTIFIERS = ("call_id", "agent_id", "run_id")
_SHORTS = ("group_key", "error_code", "model", "auto_action")
_LONGS = ("trigger_value", "error_message")
_STRINGS = (*_SLUGS, *_IDENTIFIERS, *_SHORTS, *_LONGS, "synthetic_scenario_id")

_BAD: dict[str, Case] = {
    "no trigger": Case(b"{}", "/trigger_type", "is required"),
    "null trigger": Case(alert(trigger_type=None), "/trigger_type", "is required"),
    "reserved trigger": Case(
        alert(trigger_type="rate_limit_overflow"), "/trigger_type", "is reserved"
    ),
    "a list": Case(b"[]", "", "must be a JSON object"),
    "a string": Case(b'"x"', "", "must be a JSON object"),
    "null": Case(b"null", "", "must be a JSON object"),
    "unknown field": Case(alert(severity="high"), "/severity", "is not a known field"),
    "unknown field with a slash": Case(alert(**{"a/b~c": 1}), "/a~1b~0c", "is not a known field"),
    "class attribute as a field": Case(
        alert(source_type="alert"), "/source_type", "is not a known field"
    ),
    **{
        f"{name} {kind}": Case(alert(**{name: value}), f"/{name}", "must be")
        for name in _STRINGS
        for kind, value in {"a number": 5, "a list": ["x"], "an object": {}, "true": True}.items()
    },
    **{
        f"{name} with NUL": Case(alert(**{name: b'"a\\u0000b"'}), f"/{name}", "U+0000")
        for name in _STRINGS
    },
    **{
        f"{name} with a lone surrogate": Case(
            alert(**{name: b'"a\\ud800b"'}), f"/{name}", "lone surrogate"
        )
        for name in _STRINGS
    },
    **{
        f"{name} {kind}": Case(alert(**{name: value}), f"/{name}", "1 to 50")
        for name in _SLUGS
        for kind, value in {
            "empty": "",
            "of 51": "s" * 51,
            "upper case": "Budget",
            "with a blank": "a b",
            "with a line end": "a\n",
            "not ASCII": "\u00e9",
        }.items()
    },
    **{
        f"{name} {kind}": Case(alert(**{name: value}), f"/{name}", "1 to 128")
        for name in _IDENTIFIERS
        for kind, value in {
            "empty": "",
            "of 129": "i" * 129,
            "with a blank": "a b",
            "with a line end": "a\n",
            "with a hash": "a#b",
            "not ASCII": "\u0661",
        }.items()
    },
    "run_id with a slash": Case(alert(run_id="a/b"), "/run_id", "1 to 128"),
    **{
        f"{name} empty": Case(alert(**{name: ""}), f"/{name}", "1 to 200 characters")
        for name in _SHORTS
    },
    **{
        f"{name} of 201": Case(alert(**{name: "\u00e9" * 201}), f"/{name}", "1 to 200 characters")
        for name in _SHORTS
    },
    **{
        f"{name} of 2,001": Case(alert(**{name: "\u00e9" * 2001}), f"/{name}", "at most 2,000")
        for name in _LONGS
    },
    "scenario empty": Case(alert(synthetic_scenario_id=""), "/synthetic_scenario_id", "1 to 128"),
    "scenario of 129": Case(
        alert(synthetic_scenario_id="s" * 129), "/synthetic_scenario_id", "1 to 128"
    ),
    **{
        f"time {kind}": Case(alert(occurred_at=value), "/occurred_at", words)
        for kind, value, words in [
            ("naive", "2026-01-31T12:00:00", "with an offset"),
            ("a date", "2026-01-31", "with an offset"),
            ("a number", 1_700_000_000, "with an offset"),
            ("digits", "1700000000", "with an offset"),
            ("of a month 13", "2026-13-01T00:00:00Z", "with an offset"),
            ("of 30 February", "2026-02-30T00:00:00Z", "with an offset"),
            ("empty", "", "with an offset"),
            ("in words", "yesterday", "with an offset"),
            ("far ahead", "2999-01-01T00:00:00Z", "5 minutes ahead"),
            ("in year 9999", "9999-12-31T23:59:59-12:00", "5 minutes ahead"),
            ("in year 10000", "10000-01-01T00:00:00Z", "with an offset"),
            ("before 1970", "1969-12-31T23:59:59.999999Z", "before 1970"),
            ("before 1970 by its offset", "1970-01-01T00:59:59+01:00", "before 1970"),
            ("in year 1", "0001-01-01T00:00:00+14:00", "before 1970"),
        ]
    },
    **{
        f"cost {kind}": Case(alert(cost_delta_cents=value), "/cost_delta_cents", words)
        for kind, value, words in [
            ("a number", 5, "decimal string"),
            ("a float", 1.5, "decimal string"),
            ("true", True, "decimal string"),
            ("NaN", b"NaN", "finite"),
            ("Infinity", b"Infinity", "finite"),
            ("-Infinity", b"-Infinity", "finite"),
            ("1e999", b"1e999", "finite"),
            ("'NaN'", "NaN", "decimal string"),
            ("'Infinity'", "Infinity", "decimal string"),
            ("negative", "-1", "not negative"),
            ("with a plus", "+1", "decimal string"),
            ("with an exponent", "1e3", "decimal string"),
            ("with 13 digits", "1" * 13, "at most 12 digits"),
            ("with 5 decimals", "0.00001", "4 after"),
            ("without a digit before the point", ".5", "decimal string"),
            ("without a digit after the point", "5.", "decimal string"),
            ("empty", "", "decimal string"),
            ("with a blank", " 1", "decimal string"),
            ("with a line end", "1\n", "decimal string"),
            ("in Arabic digits", "\u0661", "decimal string"),
            ("a huge integer", 2**53, "beyond 2^53-1"),
            ("a very huge integer", b"9" * 5000, "beyond 2^53-1"),
        ]
    },
    **{
        f"is_synthetic {value!r}": Case(alert(is_synthetic=value), "/is_synthetic", "true or false")
        for value in (0, 1, "true", "", [])
    },
    **{
        f"metadata {kind}": Case(alert(metadata=value), "/metadata", "JSON object")
        for kind, value in {
            "a string": "x",
            "a list": [],
            "a number": 1,
            "false": False,
            "of 16 KiB and a byte": _metadata(16 * 1024 + 1),
            "stored as more than 16 KiB": b'{"k":[%b]}' % b",".join([b"1e9"] * 3000),
        }.items()
    },
    "metadata with NUL": Case(alert(metadata=b'{"k":"\\u0000"}'), "/metadata/k", "U+0000"),
    "metadata with NUL in a key": Case(
        alert(metadata=b'{"a\\u0000":1}'), "/metadata/a\ufffd", "U+0000"
    ),
    "metadata with a lone surrogate": Case(
        alert(metadata=b'{"k":["\\udfff"]}'), "/metadata/k/0", "lone surrogate"
    ),
    "metadata with a huge integer": Case(
        alert(metadata=b'{"k":{"n":9007199254740992}}'), "/metadata/k/n", "beyond 2^53-1"
    ),
    "metadata with a huge negative": Case(
        alert(metadata=b'{"k":-9007199254740992}'), "/metadata/k", "beyond 2^53-1"
    ),
    "metadata with NaN": Case(alert(metadata=b'{"k":NaN}'), "/metadata/k", "finite"),
    "metadata with 1e400": Case(alert(metadata=b'{"k":1e400}'), "/metadata/k", "finite"),
    "metadata nested too deep": Case(
        alert(metadata=nested(33)), "/metadata/k" + "/0" * 30, "deeper than 32"
    ),
    "metadata nested far too deep": Case(
        alert(metadata=nested(100_000)), "/metadata/k" + "/0" * 30, "deeper than 32"
    ),
}

# These are not JSON at all: they have no place but a line of their own.
_MALFORMED: dict[str, Case] = {
    "truncated": Case(alert(call_id="c")[:-5], "", "is not valid JSON"),
    "words": Case(b"call failed", "", "is not valid JSON"),
    "two values": Case(alert() + alert(), "", "is not valid JSON"),
    "a byte order mark": Case(b"\xef\xbb\xbf" + alert(), "", "is not valid JSON"),
    "single quotes": Case(b"{'trigger_type':'x'}", "", "is not valid JSON"),
    "a trailing comma": Case(b'{"trigger_type":"x",}', "", "is not valid JSON"),
    "a raw control character": Case(alert(model=b'"a\x01b"'), "", "is not valid JSON"),
    "a bad escape": Case(alert(model=b'"\\x41"'), "", "is not valid JSON"),
    "bytes that are not UTF-8": Case(alert(model=b'"\xff"'), "", "is not valid UTF-8"),
    "a surrogate in UTF-8": Case(alert(model=b'"\xed\xa0\x80"'), "", "is not valid UTF-8"),
    "metadata that is not UTF-8": Case(alert(metadata=b'{"k":"\xff"}'), "", "is not valid UTF-8"),
    "metadata that is not JSON": Case(alert(metadata=b'{"k":01}'), "", "is not valid JSON"),
}

_GOOD: dict[str, bytes] = {
    "nothing but a trigger": alert(),
    "nulls everywhere": alert(
        **dict.fromkeys((*_STRINGS[1:], "occurred_at", "cost_delta_cents", "is_synthetic"))
    ),
    "null metadata": alert(metadata=None),
    **{f"{name} of 50": alert(**{name: ("az09_.-" * 8)[:50]}) for name in _SLUGS},
    **{
        f"{name} of 128": alert(**{name: ("Az09._:@+=-" * 12)[:128]})
        for name in (*_IDENTIFIERS, "synthetic_scenario_id")
    },
    "call_id with a slash": alert(call_id="a/b"),
    **{f"{name} of 200": alert(**{name: "\U0001f600" * 200}) for name in _SHORTS},
    **{f"{name} of 2,000": alert(**{name: "\u00e9" * 2000}) for name in _LONGS},
    **{f"{name} empty": alert(**{name: ""}) for name in _LONGS},
    "a pair of surrogates": alert(model=b'"\\ud83d\\ude00"'),
    "an escaped backslash before u0000": alert(model=b'"\\\\u0000"'),
    "epoch": alert(occurred_at="1970-01-01T00:00:00Z"),
    "epoch by its offset": alert(occurred_at="1970-01-01T01:00:00+01:00"),
    "time with nanoseconds": alert(occurred_at="2026-01-31T12:00:00.123456789Z"),
    "largest cost": alert(cost_delta_cents="9" * 12 + ".9999"),
    "no cost": alert(cost_delta_cents="0"),
    "metadata of 16 KiB": alert(metadata=_metadata(16 * 1024)),
    "metadata of 16 KiB and blanks": alert(metadata=_metadata(16 * 1024)[:-1] + b" }"),
    "empty metadata": alert(metadata={}),
    "largest integer": alert(metadata=b'{"k":[9007199254740991,-9007199254740991]}'),
    "long decimals": alert(metadata=b'{"k":0.12345678901234567890}'),
    "hexadecimal ids": alert(metadata={"k": "7e12e34ae56"}),
    "metadata nested to 32": alert(metadata=nested(32)),
    "metadata in many pieces": alert(metadata={"k": [{} for _ in range(100)]}),
    "metadata with a pair of surrogates": alert(metadata=b'{"k":"\\ud83d\\ude00 \xc3\xa9"}'),
    "a field given twice": alert(model="a")[:-1] + b',"model":"b"}',
    "metadata with a key given twice": alert(metadata=b'{"k":1,"k":2}'),
}


def _params(cases: dict[str, Any]) -> list[Any]:
    return [pytest.param(case, id=name) for name, case in cases.items()]


BAD = _params(_BAD)
MALFORMED = _params(_MALFORMED)
GOOD = _params(_GOOD)
EVERY_ALERT = [case.alert for case in (_BAD | _MALFORMED).values()] + list(_GOOD.values())
