from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from config import clock
from tests.factories.reading import NOW, incident
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db


def test_detect_patterns_prints_them(capsys: Any) -> None:
    tenant = TenantFactory.create()
    members = [incident(tenant, category="a") for _ in range(4)]
    with clock.pretend(NOW):
        call_command("detect_patterns", tenant=tenant.pk)
        lines = capsys.readouterr().out.splitlines()
        call_command("detect_patterns", "--json", tenant=tenant.pk, window_hours=168)
    assert lines[0] == "4 incidents in the last 24 hours"
    assert lines[1].split("\t")[:4] == ["category_cluster", "a", "4 incidents", "confidence 0.60"]
    body = json.loads(capsys.readouterr().out)
    assert (body["window_hours"], body["since"]) == (168, "2026-10-29T10:20:30.123456Z")
    (pattern,) = body["patterns"]
    assert pattern["pattern_type"] == "category_cluster"
    assert set(pattern["incident_ids"]) == {str(member.pk) for member in members}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"tenant": "nobody"}, "There is no tenant 'nobody'."),
        ({"tenant": "nobody", "window_hours": 169}, "--window-hours takes 1 to 168."),
    ],
)
def test_detect_patterns_refuses(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        call_command("detect_patterns", **options)
