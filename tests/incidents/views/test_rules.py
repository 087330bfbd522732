from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from config.tenancy.models import Tenant
from incidents.models import PolicyRule
from tests.config.api.conftest import ApiClient
from tests.factories.facts import make_rule
from tests.factories.tenancy import TenantFactory
from tests.incidents.views.test_runs import BASE, pointers, post

RULE = {"name": "no timeouts", "mode": "active", "is_active": True, "error_code": "TIMEOUT"}


def patch(api: ApiClient, rule: str, body: Any) -> Any:
    path = f"{BASE}policy-rules/{rule}/"
    return api.patch(path, body, content_type="application/json")


def report(api: ApiClient, call_id: str) -> Any:
    body = {"trigger_type": "x", "call_id": call_id, "error_code": "TIMEOUT"}
    return post(api, "alerts/", body)


def test_a_rule_prevents_until_it_is_changed(api: ApiClient) -> None:
    made = post(api, "policy-rules/", {**RULE, "actor": "Ada"})
    assert made.status_code == 201
    rule = made.json()["id"]
    prevented = report(api, "1")
    assert (prevented.status_code, prevented.json()) == (
        200,
        {"outcome": "prevented", "incident": None},
    )
    assert report(api, "1").json() == {"outcome": "duplicate", "incident": None}
    batch = {"alerts": [{"trigger_type": "x", "error_code": code} for code in ("TIMEOUT", "T")]}
    counts = post(api, "alerts/batch/", batch).json()
    assert (counts["prevented"], counts["opened"]) == (1, 1)
    assert patch(api, rule, {"mode": "shadow"}).json()["revision"] == 2
    assert report(api, "2").json()["outcome"] == "aggregated"
    assert patch(api, rule, {"is_active": False}).status_code == 200
    assert report(api, "3").json()["outcome"] == "aggregated"
    preventions = api.get(f"{BASE}preventions/?rule_id={rule}").json()["results"]
    assert [p["mode"] for p in preventions] == ["shadow", "active", "active"]
    shadow = api.get(f"{BASE}preventions/?mode=shadow").json()["results"]
    assert [p["call_id"] for p in shadow] == ["2"]
    assert shadow[0]["incident_id"]
    revisions = api.get(f"{BASE}policy-rules/{rule}/revisions/").json()["results"]
    assert [(r["number"], r["mode"], r["actor"]) for r in revisions] == [
        (3, "shadow", None),
        (2, "shadow", None),
        (1, "active", "Ada"),
    ]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"error_code": None}, ""),
        ({"mode": "off"}, "/mode"),
        ({"mode": None}, "/mode"),
        ({"is_active": "yes"}, "/is_active"),
        ({"name": ""}, "/name"),
        ({"category": "Not A Slug"}, "/category"),
        ({"trigger_type": "%"}, "/trigger_type"),
        ({"unknown": 1}, "/unknown"),
    ],
)
def test_a_bad_rule_is_refused_by_name(
    api: ApiClient, change: dict[str, Any], expected: str
) -> None:
    assert pointers(post(api, "policy-rules/", {**RULE, **change})) == [expected]
    rule = post(api, "policy-rules/", RULE).json()
    assert pointers(patch(api, rule["id"], change)) == [expected]
    assert api.get(f"{BASE}policy-rules/{rule['id']}/").json() == rule
    assert PolicyRule.objects.count() == 1


def test_rules_need_the_scope_admin(call: Callable[..., ApiClient], tenant: Tenant) -> None:
    rule = make_rule(tenant, error_code="E")
    reader = call("read", "triage", "ingest")
    assert post(reader, "policy-rules/", RULE).status_code == 403
    assert patch(reader, str(rule.pk), {"name": "x"}).status_code == 403
    assert reader.get(f"{BASE}policy-rules/").status_code == 200


def test_a_rule_of_another_tenant_does_not_exist(api: ApiClient) -> None:
    foreign = make_rule(TenantFactory.create(), error_code="TIMEOUT", policy_type="retry")
    for path in (f"{foreign.pk}/", f"{foreign.pk}/revisions/"):
        assert api.get(f"{BASE}policy-rules/{path}").status_code == 404
    assert patch(api, str(foreign.pk), {"name": "x"}).status_code == 404
    assert api.get(f"{BASE}policy-rules/").json()["results"] == []
    for policy in (str(foreign.pk), "retry"):
        answer = api.get(f"{BASE}policy-rules/enabled/?policy_id={policy}").json()
        assert answer == {"enabled": False}
    assert report(api, "1").json()["outcome"] == "opened"


def test_enabled_and_filters(api: ApiClient, tenant: Tenant) -> None:
    rule = make_rule(tenant, error_code="E", policy_type="retry")
    make_rule(tenant, error_code="E", is_active=False, policy_type="off")
    for policy, enabled in ((str(rule.pk), True), ("retry", True), ("off", False), ("re", False)):
        answer = api.get(f"{BASE}policy-rules/enabled/?policy_id={policy}").json()
        assert answer == {"enabled": enabled}
    listed = api.get(f"{BASE}policy-rules/?is_active=true&policy_type=retry").json()["results"]
    assert [one["id"] for one in listed] == [str(rule.pk)]
    assert api.get(f"{BASE}policy-rules/?mode=shadow").json()["results"] == []
