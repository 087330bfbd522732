"""The maps and thresholds that decide what a report means; nothing here depends on a tenant.

What a tenant can override (window, hourly limit, cooldown, staleness, statistics) lives on
``config.tenancy.models.Tenant``.
"""

from __future__ import annotations

from typing import Final

from incidents.enums import Severity

TRIGGER_MANUAL: Final = "manual"
TRIGGER_OVERFLOW: Final = "rate_limit_overflow"
TRIGGER_FAILURE: Final = "llm_failure"
TRIGGER_VIOLATION: Final = "policy_violation"

INITIAL_SEVERITY: Final[dict[str, Severity]] = {
    "budget_breach": Severity.CRITICAL,
    "freeze": Severity.CRITICAL,
    "failure_spike": Severity.HIGH,
    "content_policy": Severity.HIGH,
    "rate_limit": Severity.MEDIUM,
    TRIGGER_OVERFLOW: Severity.HIGH,
}

# Calls affected from which an incident is at least this severe.
ESCALATION: Final[tuple[tuple[int, Severity], ...]] = (
    (1, Severity.LOW),
    (10, Severity.MEDIUM),
    (50, Severity.HIGH),
    (200, Severity.CRITICAL),
)

SEVERITY_OF_ERROR: Final[dict[str, Severity]] = {
    "EXECUTION_TIMEOUT": Severity.HIGH,
    "STEP_FAILURE": Severity.HIGH,
    "SKILL_ERROR": Severity.HIGH,
    "AGENT_CRASH": Severity.CRITICAL,
    "BUDGET_EXCEEDED": Severity.MEDIUM,
    "RATE_LIMIT_EXCEEDED": Severity.MEDIUM,
    "RESOURCE_EXHAUSTION": Severity.MEDIUM,
    "RETRY_EXHAUSTED": Severity.MEDIUM,
    "UNKNOWN": Severity.MEDIUM,
    "CANCELLED": Severity.LOW,
    "MANUAL_STOP": Severity.LOW,
}

CATEGORY_OF_ERROR: Final[dict[str, str]] = {
    "EXECUTION_TIMEOUT": "execution_failure",
    "AGENT_CRASH": "execution_failure",
    "STEP_FAILURE": "execution_failure",
    "SKILL_ERROR": "execution_failure",
    "RETRY_EXHAUSTED": "execution_failure",
    "UNKNOWN": "execution_failure",
    "BUDGET_EXCEEDED": "budget_exceeded",
    "RATE_LIMIT_EXCEEDED": "rate_limit",
    "RESOURCE_EXHAUSTION": "resource_exhaustion",
    "CANCELLED": "manual",
    "MANUAL_STOP": "manual",
}

TRIGGER_OF_ANOMALY: Final[dict[str, str]] = {
    "BUDGET_EXCEEDED": "budget_breach",
    "ABSOLUTE_SPIKE": "cost_spike",
    "SUSTAINED_DRIFT": "cost_drift",
    "BUDGET_WARNING": "budget_warning",
}
CATEGORY_OF_ANOMALY: Final = "cost_anomaly"
CATEGORY_OF_VIOLATION: Final = "policy_violation"


def initial_severity(trigger_type: str) -> Severity:
    """The severity that an incident of this trigger opens with."""
    return INITIAL_SEVERITY.get(trigger_type, Severity.MEDIUM)


def severity_of_error(error_code: str) -> Severity:
    """The severity of a failure with this error code; medium when the code is unknown."""
    return SEVERITY_OF_ERROR.get(error_code, Severity.MEDIUM)


def category_of_error(error_code: str) -> str:
    """The category of a failure with this error code; execution_failure when it is unknown."""
    return CATEGORY_OF_ERROR.get(error_code, "execution_failure")


def trigger_of_anomaly(kind: str) -> str:
    """The trigger type that a cost anomaly of this kind is reported as."""
    return TRIGGER_OF_ANOMALY.get(kind, "cost_anomaly")
