from __future__ import annotations

import base64
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.db.models import Value
from django.db.models.functions import Length
from django.test import RequestFactory
from hypothesis import given
from hypothesis import strategies as st
from pytest_django.fixtures import DjangoAssertNumQueries
from rest_framework.request import Request

from config.api import pagination
from config.api.pagination import Page
from config.errors import Invalid
from config.tenancy.models import ApiKey, Tenant
from tests.factories.tenancy import TenantFactory

START = datetime(2026, 1, 1, tzinfo=UTC)
ORDERINGS = [
    f"{sign}{column}" for column in ("created_at", "last_used_at", "name") for sign in ("", "-")
]


def make_keys(tenant: Tenant, count: int) -> list[ApiKey]:
    """Keys with many ties and nulls in every column that is ordered by."""
    random_source = random.Random(7)
    return ApiKey.objects.bulk_create(
        ApiKey(
            tenant=tenant,
            name=random_source.choice("abc"),
            prefix=f"p{number}",
            digest=f"{tenant.pk}{number}".encode(),
            scopes=["read"],
            created_at=START + timedelta(seconds=random_source.randrange(4)),
            last_used_at=random_source.choice([None, START, START + timedelta(microseconds=1)]),
        )
        for number in range(count)
    )


@pytest.fixture
def rows(db: None) -> list[ApiKey]:
    return make_keys(TenantFactory.create(), 23)


def turn(
    address: str | None = None, *, ordering: Any, page_size: int = 4, queryset: Any = None
) -> Page:
    request = Request(RequestFactory().get(address or "/api/v1/keys/?name=a&name=b"))
    return pagination.paginate(
        ApiKey.objects.all() if queryset is None else queryset,
        request=request,
        page_size=page_size,
        cursor=request.query_params.get("cursor"),
        ordering=ordering,
    )


def walk(ordering: Any, **options: Any) -> tuple[list[list[Any]], list[list[Any]]]:
    """The pages from first to last, and again from last to first by ``previous``."""
    forth, page = [], turn(ordering=ordering, **options)
    while True:
        forth.append(page.rows)
        if page.next is None:
            break
        page = turn(page.next, ordering=ordering, **options)
    back = [page.rows]
    while page.previous is not None:
        page = turn(page.previous, ordering=ordering, **options)
        back.append(page.rows)
    return forth, back[::-1]


def expected(rows: list[ApiKey], ordering: str) -> list[ApiKey]:
    column, descending = ordering.removeprefix("-"), ordering.startswith("-")
    known = [row for row in rows if getattr(row, column) is not None]
    unknown = [row for row in rows if getattr(row, column) is None]
    known.sort(key=lambda row: (getattr(row, column), row.pk), reverse=descending)
    unknown.sort(key=lambda row: row.pk, reverse=descending)
    return known + unknown


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_paginate_walk(rows: list[ApiKey], ordering: str) -> None:
    forth, back = walk(ordering)
    assert [row for page in forth for row in page] == expected(rows, ordering)
    assert [len(page) for page in forth] == [4, 4, 4, 4, 4, 3]
    assert back == forth


@pytest.mark.parametrize("ordering", ORDERINGS)
def test_paginate_walk_one_by_one(rows: list[ApiKey], ordering: str) -> None:
    forth, back = walk(ordering, page_size=1)
    assert [page[0] for page in forth] == expected(rows, ordering)
    assert back == forth


def test_paginate_by_annotation_and_several_columns(rows: list[ApiKey]) -> None:
    queryset = ApiKey.objects.annotate(size=Length("prefix"))
    forth, back = walk(("-size", "name", "-id"), queryset=queryset)
    assert [row.pk for page in forth for row in page] == [
        row.pk
        for row in sorted(
            sorted(rows, key=lambda row: row.pk, reverse=True),
            key=lambda row: (-len(row.prefix), row.name),
        )
    ]
    assert back == forth


def test_paginate_dictionaries(rows: list[ApiKey]) -> None:
    forth, _ = walk("-created_at", queryset=ApiKey.objects.values("id", "created_at"))
    listed = [row["id"] for page in forth for row in page]
    assert listed == [row.pk for row in expected(rows, "-created_at")]


def test_paginate_while_rows_arrive(rows: list[ApiKey]) -> None:
    def make_more(number: int) -> None:
        key = rows[0]
        ApiKey.objects.create(
            tenant=key.tenant,
            name="new",
            prefix=f"n{number}",
            digest=f"n{number}".encode(),
            scopes=["read"],
            created_at=START + timedelta(seconds=number % 6),
        )

    before = expected(rows, "-created_at")
    seen, page = [], turn(ordering="-created_at")
    while True:
        seen += page.rows
        make_more(len(seen))
        if page.next is None:
            break
        page = turn(page.next, ordering="-created_at")
    pinned = [row for row in seen if row in before]
    assert pinned == before


def test_paginate_empty(db: None) -> None:
    assert turn(ordering="-created_at") == Page([], None, None)


def test_paginate_exactly_one_page(rows: list[ApiKey]) -> None:
    page = turn(ordering="-created_at", page_size=23)
    assert (len(page.rows), page.next, page.previous) == (23, None, None)


def test_paginate_links_keep_the_query(rows: list[ApiKey]) -> None:
    link = turn("/api/v1/k%20s/?name=a&name=b%26&page_size=4", ordering="name").next
    assert link is not None
    assert link.startswith("http://testserver/api/v1/k%20s/?name=a&name=b%26&page_size=4&cursor=")


def test_paginate_in_one_query_without_count(
    rows: list[ApiKey], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    link = turn(ordering="-created_at").next
    with django_assert_num_queries(1) as captured:
        turn(link, ordering="-created_at")
    statement = captured.captured_queries[0]["sql"]
    assert "COUNT" not in statement
    assert "LIMIT 5" in statement
    assert "NULLS" not in statement


def cursor_of(*content: Any) -> str:
    encoded = base64.urlsafe_b64encode(msgspec.json.encode(list(content))).decode()
    return encoded.rstrip("=")


GOOD_ID = "0190a5f0-0000-7000-8000-000000000001"
GOOD_TIME = "2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "é",
        "====",
        "AAAA",
        cursor_of(),
        cursor_of("-created_at,-id", False),
        cursor_of("-created_at,-id", 1, [GOOD_TIME, GOOD_ID]),
        cursor_of("-created_at,-id", False, [GOOD_TIME]),
        cursor_of("-created_at,-id", False, [GOOD_TIME, GOOD_ID, 1]),
        cursor_of("-created_at,-id", False, [GOOD_TIME, "x"]),
        cursor_of("-created_at,-id", False, [GOOD_TIME, None]),
        cursor_of("-created_at,-id", False, [GOOD_TIME, 7]),
        cursor_of("-created_at,-id", False, [None, GOOD_ID]),
        cursor_of("-created_at,-id", False, ["2026-01-01", GOOD_ID]),
        cursor_of("-created_at,-id", False, ["9999-12-31T23:59:59-10:00", GOOD_ID]),
        cursor_of("created_at,id", False, [GOOD_TIME, GOOD_ID]),
        cursor_of("-name,-id", False, ["a", GOOD_ID]),
        "W10" * 500,
    ],
)
def test_paginate_bad_cursor(db: None, cursor: str) -> None:
    with pytest.raises(Invalid) as refused:
        turn(f"/?cursor={cursor}", ordering="-created_at")
    assert [error.pointer for error in refused.value.errors] == ["/cursor"]


def test_paginate_forged_cursor_within_its_types(rows: list[ApiKey]) -> None:
    forged = cursor_of("-created_at,-id", False, ["9999-12-31T00:00:00Z", GOOD_ID])
    assert len(turn(f"/?cursor={forged}", ordering="-created_at").rows) == 4


@given(st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), max_size=3))
def test_cursor_of_any_content_without_another_error(content: list[Any]) -> None:
    columns = pagination.columns_of(
        ApiKey.objects.annotate(number=Value(1), flag=Value(True)),
        ("number", "flag", "name"),
    )
    try:
        encoded = cursor_of("number,flag,name", True, content)
        place = pagination.Place.decode(encoded, columns)
    except Invalid:
        return
    assert len(place.values) == 3


def test_paginate_by_what_is_no_column(db: None) -> None:
    with pytest.raises(LookupError, match="nothing"):
        turn(ordering="nothing")
