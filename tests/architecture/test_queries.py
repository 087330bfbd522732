"""How many statements an operation sends to the database, whatever it has to show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.test import Client

from config.api.parameters import ListParameters
from tests.architecture import routes
from tests.architecture.operations import OPERATIONS
from tests.factories import world
from tests.factories.world import World
from tests.statements import counted

pytestmark = pytest.mark.django_db

MOST = 12
READINGS = [name for name in OPERATIONS if name.startswith("GET")]


def statements(alpha: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, tuple[list[str], int]]:
    """By operation, what it sends, and how much it answers."""
    client = Client(headers=alpha.headers)
    found = {}
    for name in READINGS:
        operation = OPERATIONS[name]
        view, action = routes.OPERATIONS[name]
        parameters = view.action_parameters.get(action)
        if parameters is not None and issubclass(parameters, ListParameters):
            operation = replace(operation, query={"page_size": 100})
        operation.send(name, alpha.ids, client=client)
        with counted(monkeypatch) as sent:
            answer = operation.send(name, alpha.ids, client=client)
        assert answer.status_code == 200, name
        found[name] = sent, len(answer.content)
    return found


def test_reading_sends_the_same_statements_for_thirty_rows_as_for_two(
    alpha: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = statements(alpha, monkeypatch)
    for number in range(2, 31):
        world.grow(alpha, number)
    many = statements(alpha, monkeypatch)
    for name in READINGS:
        assert len(many[name][0]) == len(few[name][0]), "\n".join([name, *many[name][0]])
        assert len(many[name][0]) <= MOST, "\n".join([name, *many[name][0]])
    # What did not grow was not tried.
    same = {name for name in READINGS if many[name][1] < 1.4 * few[name][1]}
    assert same <= _SMALL, " ".join(sorted(same - _SMALL))


# Single objects and sums of a fixed form; and what one run, one category or the installation has.
_SMALL = {
    "GET api/v1/exports/<pk>/download/",
    "GET api/v1/exports/keys/",
    "GET api/v1/incidents/<pk>/",
    "GET api/v1/incidents/count/",
    "GET api/v1/insights/accounting/",
    "GET api/v1/insights/cost-impact/",
    "GET api/v1/insights/cost-trend/",
    "GET api/v1/insights/distribution/",
    "GET api/v1/insights/metrics/",
    "GET api/v1/insights/recurrence/<category>/",
    "GET api/v1/insights/stats/",
    "GET api/v1/insights/trend/",
    "GET api/v1/lessons/<pk>/",
    "GET api/v1/lessons/stats/",
    "GET api/v1/policy-rules/<pk>/",
    "GET api/v1/policy-rules/<pk>/effectiveness/",
    "GET api/v1/policy-rules/enabled/",
    "GET api/v1/proposals/<pk>/",
    "GET api/v1/runs/<run_id>/",
    "GET api/v1/runs/<run_id>/contamination/",
    "GET api/v1/runs/<run_id>/failure/",
    "GET api/v1/runs/<run_id>/trace/",
    "GET api/v1/senders/settings/",
    "GET api/v1/violations/<pk>/",
    "GET api/v1/violations/truth/",
    "GET api/v1/webhooks/<pk>/",
    "GET api/v1/whoami/",
}
