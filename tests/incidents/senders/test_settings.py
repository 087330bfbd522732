"""What a tenant wants of the systems that send to it."""

from __future__ import annotations

import json

import pytest

from incidents.models import SenderSettings
from incidents.senders.redaction import DEFAULT_PATTERNS, Redactor
from incidents.services import senders
from tests.config.api.conftest import ApiClient

ADDRESS = "/api/v1/senders/settings/"
pytestmark = pytest.mark.django_db


def change(api: ApiClient, **changes: object) -> object:
    return api.patch(ADDRESS, json.dumps(changes), content_type="application/json")


def test_settings_have_defaults_and_keep_changes(api: ApiClient) -> None:
    before = api.get(ADDRESS).json()
    assert before.pop("updated_at")
    assert before == {
        "keep_prompts": False,
        "redaction_patterns": None,
        "resolve_on_resolved": False,
        "has_sentry_secret": False,
    }
    assert not SenderSettings.objects.exists()
    change(api, keep_prompts=True, redaction_patterns=["a+"], sentry_secret="s")
    after = change(api, resolve_on_resolved=True).json()  # type: ignore[attr-defined]
    assert after.pop("updated_at")
    assert after == {
        "keep_prompts": True,
        "redaction_patterns": ["a+"],
        "resolve_on_resolved": True,
        "has_sentry_secret": True,
    }
    assert senders.settings_of(tenant=api.tenant).sentry_secret == "s"
    cleared = change(api, sentry_secret=None, redaction_patterns=None).json()  # type: ignore[attr-defined]
    assert (cleared["has_sentry_secret"], cleared["redaction_patterns"]) == (False, None)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"redaction_patterns": ["ok", "("]}, "/redaction_patterns/1"),
        ({"redaction_patterns": ["(?=back)"]}, "/redaction_patterns/0"),
        ({"redaction_patterns": ["x" * 501]}, "/redaction_patterns/0"),
        ({"redaction_patterns": ["x"] * 51}, "/redaction_patterns"),
        ({"redaction_patterns": "x"}, "/redaction_patterns"),
        ({"keep_prompts": None}, "/keep_prompts"),
        ({"keep_prompt": True}, "/keep_prompt"),
        ({"sentry_secret": ""}, "/sentry_secret"),
    ],
)
def test_settings_refuse_by_pointer(
    api: ApiClient, changes: dict[str, object], pointer: str
) -> None:
    answer = change(api, **changes)
    assert answer.status_code == 400  # type: ignore[attr-defined]
    errors = answer.json()["errors"]  # type: ignore[attr-defined]
    assert [error["pointer"] for error in errors] == [pointer]
    assert not SenderSettings.objects.exists()


def test_redactor_replaces_in_all_of_a_value() -> None:
    value = {"who": ["ada@example.com", 1, None, {"ada@example.com": True}], "x": "fine"}
    assert Redactor(DEFAULT_PATTERNS).value(value) == {
        "who": ["[redacted]", 1, None, {"[redacted]": True}],
        "x": "fine",
    }


@pytest.mark.parametrize(
    "secret",
    ["sk-abcdefghijklmnopqrst", "Bearer abcdefghijklmnop", "4111 1111 1111 1111", "a.b@c.example"],
)
def test_redactor_knows_common_secrets(secret: str) -> None:
    assert secret not in Redactor(DEFAULT_PATTERNS).text(f"it says {secret} there")


def test_redactor_takes_linear_time_for_the_worst_pattern() -> None:
    assert Redactor(["(a*)*b"]).text("a" * 100_000) == "a" * 100_000
