"""Runs, facts and rules for tests, made through the services that make them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.enums import FailureType, RuleMode, Severity
from incidents.models import Incident, PolicyRule
from incidents.services import aggregation, costs, failures, rules, violations
from incidents.services.reports import Report

BY = Actor(via="test key", name="Ada")


def fail(tenant: Tenant, run_id: str = "run-1", **given: Any) -> failures.Recorded:
    values = {"failure_type": FailureType.EXCEPTION, "error_code": "STEP_FAILURE", **given}
    return failures.record(tenant=tenant, by=BY, run_id=run_id, **values)


def violate(tenant: Tenant, run_id: str = "run-1", **given: Any) -> violations.Recorded:
    values = {"policy_id": "pii", "rule_id": "no-names", **given}
    return violations.record(tenant=tenant, by=BY, run_id=run_id, **values)


def spend(tenant: Tenant, anomaly_id: str = "anomaly-1", **given: Any) -> costs.RecordedAnomaly:
    values = {
        "kind": "ABSOLUTE_SPIKE",
        "severity": Severity.HIGH,
        "cost_delta_cents": Decimal("12.5"),
        **given,
    }
    return costs.record_anomaly(tenant=tenant, by=BY, anomaly_id=anomaly_id, **values)


def make_rule(tenant: Tenant, mode: RuleMode = RuleMode.ACTIVE, **given: Any) -> PolicyRule:
    return rules.create(tenant=tenant, by=BY, mode=mode, **{"name": "a rule", **given})


def alert(tenant: Tenant, **given: Any) -> aggregation.Absorbed:
    """One report, by default of a rate limit."""
    return aggregation.absorb(
        tenant=tenant, alerts=[Report(**{"trigger_type": "rate_limit", **given})]
    )


def make_incident(tenant: Tenant, **given: Any) -> Incident:
    absorbed = alert(tenant, **given)
    (incident,) = absorbed.incidents.values()
    return Incident.objects.get(pk=incident.pk)
