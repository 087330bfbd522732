"""Times in queries, in every form that RFC 3339 has for them."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import quote

import pytest

from config import clock
from config.api.values import format_timestamp
from tests.config.api.conftest import ApiClient
from tests.factories.facts import make_incident

pytestmark = pytest.mark.django_db

NAMES = ["created_after", "created_before", "resolved_after", "resolved_before", "as_of"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "time",
    [
        "2026-01-01t00:00:00z",
        "2026-01-01T00:00:00.123456789012Z",
        # PostgreSQL itself knows no offset beyond 16 hours.
        "2026-01-01T00:00:00-23:59",
        "2026-01-01T00:00:00+23:59",
        "1970-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ],
)
def test_list_takes_every_form_of_a_time(api: ApiClient, name: str, time: str) -> None:
    for address in ("/api/v1/incidents/", "/api/v1/incidents/count/"):
        answer = api.get(f"{address}?{name}={quote(time)}")
        assert answer.status_code == 200, answer.content


def test_list_with_a_far_offset_means_that_moment(api: ApiClient) -> None:
    make_incident(api.tenant)
    now = clock.now()
    for ahead, found in ((timedelta(hours=1), 0), (timedelta(hours=-1), 1)):
        local = format_timestamp(now + ahead - timedelta(hours=23, minutes=59)).rstrip("Z")
        counted = api.get(f"/api/v1/incidents/count/?created_after={local}-23:59")
        assert counted.json() == {"count": found}


@pytest.mark.parametrize("address", ["stats", "accounting"])
@pytest.mark.parametrize("since", ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"])
def test_insights_since_the_first_and_the_last_moment(
    api: ApiClient, address: str, since: str
) -> None:
    answer = api.get(f"/api/v1/insights/{address}/?since={since}")
    assert answer.status_code == 200, answer.content
