"""Tables that have grown without statistics get them, from whoever made them grow."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db import connection, transaction

from config.database import planner
from incidents.services import aggregation
from incidents.services.reports import Alert
from tests.factories.tenancy import TenantFactory

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _not_looked_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "_next", 0)


@pytest.fixture(autouse=True)
def _tables() -> Iterator[None]:
    with connection.cursor() as cursor:
        for name, rows in (("large", 20_000), ("little", 20)):
            cursor.execute(f"CREATE TABLE {name} (n int) WITH (autovacuum_enabled = off)")
            cursor.execute(f"INSERT INTO {name} SELECT generate_series(1, {rows})")
        yield
        cursor.execute("DROP TABLE large, little")


def known() -> dict[str, int]:
    """How many rows the planner knows of, of the tables that it has statistics of."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, reltuples::int FROM pg_class "
            "WHERE relname IN ('large', 'little') AND reltuples >= 0"
        )
        return dict(cursor.fetchall())


def test_tables_that_have_grown_get_statistics_once(monkeypatch: pytest.MonkeyPatch) -> None:
    planner.inform()
    assert known() == {"large": 20_000}
    with connection.cursor() as cursor:
        cursor.execute("INSERT INTO large SELECT generate_series(1, 5)")
    monkeypatch.setattr(planner, "_next", 0)
    planner.inform()  # from now on that is autovacuum's
    assert known() == {"large": 20_000}


def test_tables_that_did_not_grow_up_here_are_autovacuums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner, "_MOST_PAGES", 40)
    planner.inform()
    assert known() == {}


def test_looks_only_now_and_then(django_assert_num_queries: object) -> None:
    planner.inform()
    with django_assert_num_queries(0):  # type: ignore[operator]
        planner.inform()


def test_a_table_that_somebody_else_looks_at_is_left_out() -> None:
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("LOCK TABLE large IN SHARE UPDATE EXCLUSIVE MODE")
            planner.inform()
            assert known() == {}
            cursor.execute("ROLLBACK")
    finally:
        other.close()


def test_a_batch_has_it_done_once_it_is_committed() -> None:
    tenant = TenantFactory.create()
    with transaction.atomic():
        aggregation.absorb(tenant=tenant, alerts=[Alert(trigger_type="failure_spike")])
        assert known() == {}
    assert known() == {"large": 20_000}


def test_a_batch_is_folded_in_though_that_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("no statistics")

    monkeypatch.setattr(planner, "inform", fail)
    absorbed = aggregation.absorb(
        tenant=TenantFactory.create(), alerts=[Alert(trigger_type="failure_spike")]
    )
    assert absorbed.received == 1
