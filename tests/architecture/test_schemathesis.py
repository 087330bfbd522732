"""Requests made up from the OpenAPI document, good ones and bad ones, and every check on them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import CHECKS, load_all_checks

from config.wsgi import application
from tests.factories.world import World

# By hand, for longer: SCHEMATHESIS_EXAMPLES=200 pytest tests/architecture/test_schemathesis.py
load_all_checks()
negative_data_rejection, positive_data_acceptance = CHECKS.get_by_names(
    ["negative_data_rejection", "positive_data_acceptance"]
)
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "3"))

pytestmark = pytest.mark.django_db

schema = schemathesis.openapi.from_wsgi("/api/schema/", application)


@schemathesis.serializer("application/x-ndjson", "application/zip", "application/x-protobuf")
def as_it_is(context: Any, value: Any) -> Any:
    """These are not made of JSON's values: whatever was made up is what is sent."""
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@contextmanager
def kept_connection() -> Iterator[None]:
    """As Django's own client: a request neither ends nor replaces the test's connection."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    try:
        yield
    finally:
        for signal in (request_started, request_finished):
            signal.connect(close_old_connections)


# What a batch holds is refused one by one, in an answer of 200; a file is judged, not refused.
JUDGED = {
    "POST /api/v1/alerts/batch/",
    "POST /api/v1/exports/verify/",
    "POST /api/v1/senders/alertmanager/",
    "POST /api/v1/senders/cloudevents/",
    "POST /v1/traces",
}
# Where fields depend on one another, or on the clock, and JSON Schema has no word for that.
DEPENDENT = {
    "GET /api/v1/insights/trend/": "time zones are those of IANA",
    "GET /api/v1/insights/cost-trend/": "time zones are those of IANA",
    "POST /api/v1/exports/": "a period has a start and an end in this order",
    "POST /api/v1/incidents/bulk/": "each action has fields of its own",
    "POST /api/v1/lessons/": "what is not of an incident or a run is told by nothing else",
    "POST /api/v1/lessons/{id}/defer/": "only into the future",
    "POST /api/v1/lessons/near-threshold/": "only from 85 % of a threshold above 0",
    "POST /api/v1/policy-rules/": "at least one condition",
    "POST /api/v1/policy-rules/backtest/": "at least one condition",
    "PATCH /api/v1/policy-rules/{id}/": "at least one condition",
    "PATCH /api/v1/senders/settings/": "patterns are RE2's",
    "POST /api/v1/webhooks/": "only addresses that may be sent to",
    "PATCH /api/v1/webhooks/{id}/": "only addresses that may be sent to",
    "PUT /api/v1/runs/{run_id}/trace/": "each index once",
    "POST /api/v1/senders/alertmanager/": "what is ahead of the clock is refused",
    "POST /api/v1/senders/cloudevents/": "what is ahead of the clock is refused",
    "POST /api/v1/senders/sentry/{prefix}/": "what is ahead of the clock is refused",
    "POST /v1/traces": "the bytes are a message of protobuf",
    "POST /api/v1/alerts/": "what is ahead of the clock is refused",
    "POST /api/v1/alerts/batch/": "lines are JSON",
    "POST /api/v1/cost-anomalies/": "what is ahead of the clock is refused",
    "POST /api/v1/violations/": "what is ahead of the clock is refused",
    "POST /api/v1/runs/{run_id}/failure/": "what is ahead of the clock is refused",
}


def holds_huge_integer(value: Any) -> bool:
    """JSON objects of any form may hold none beyond 2^53-1, for which JSON Schema has no word."""
    if isinstance(value, dict):
        return any(map(holds_huge_integer, value.values()))
    if isinstance(value, list):
        return any(map(holds_huge_integer, value))
    return isinstance(value, int) and abs(value) >= 2**53


@schema.parametrize()
@settings(
    max_examples=EXAMPLES,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_operation_is_as_documented(case: Any, caller: World) -> None:
    drawn = dict(case.query)
    # A cursor cannot be made up, and this parameter goes with one value of another.
    case.query.pop("cursor", None)
    if case.query.get("topic") != "historical":
        case.query.pop("retention_days", None)
    excluded = []
    # What was wrong may be what is not sent: that, or a list of nothing.
    is_whole = drawn == case.query and [] not in drawn.values()
    if case.operation.label in JUDGED or not is_whole:
        excluded.append(negative_data_rejection)
    if (
        case.operation.label in DEPENDENT
        or r"\x00" in repr([case.query, case.body])
        or holds_huge_integer(case.body)
    ):
        excluded.append(positive_data_acceptance)
    with kept_connection(), transaction.atomic():
        case.call_and_validate(headers=caller.headers, excluded_checks=excluded)
