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

from config.wsgi import application
from tests.factories.world import World

# By hand, for longer: SCHEMATHESIS_EXAMPLES=200 pytest tests/architecture/test_schemathesis.py
EXAMPLES = int(os.environ.get("SCHEMATHESIS_EXAMPLES", "3"))

pytestmark = pytest.mark.django_db

schema = schemathesis.openapi.from_wsgi("/api/schema/", application)


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
    with kept_connection(), transaction.atomic():
        case.call_and_validate(headers=caller.headers)
