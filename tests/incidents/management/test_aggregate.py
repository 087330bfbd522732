"""The aggregate command, as a Unix tool."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from config.tenancy.models import Tenant
from incidents.models import Alert, Incident
from incidents.services import aggregation
from tests.factories.tenancy import TenantFactory
from tests.incidents.bad_alerts import BAD_ALERTS, MALFORMED
from tests.incidents.services.checks import assert_consistent

pytestmark = pytest.mark.django_db


def run(file: Any, tenant: Tenant, **options: Any) -> tuple[dict[str, int], str, int]:
    """The outcomes, what was complained of, and the exit status."""
    out, err, status = io.StringIO(), io.StringIO(), 0
    try:
        call_command("aggregate", str(file), tenant=tenant.pk, stdout=out, stderr=err, **options)
    except CommandError as error:
        status = error.returncode
        err.write(str(error))
    counts = {name: int(n) for name, n in (line.split() for line in out.getvalue().splitlines())}
    return counts, err.getvalue(), status


def lines(count: int, name: str = "c") -> bytes:
    return b"".join(
        b'{"trigger_type":"rate_limit","call_id":"%s-%d"}\n' % (name.encode(), n)
        for n in range(count)
    )


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_aggregate_again_changes_nothing(tenant: Tenant, tmp_path: Path, size: int) -> None:
    file = tmp_path / "alerts.ndjson"
    file.write_bytes(lines(50))
    counts, _, status = run(file, tenant, batch_size=size)
    assert status == 0
    assert (counts["opened"], counts["aggregated"], counts["received"]) == (1, 49, 50)
    before = list(Incident.objects.values())
    counts, _, status = run(file, tenant, batch_size=size)
    assert (counts["duplicate"], counts["received"], status) == (50, 50, 0)
    assert list(Incident.objects.values()) == before
    assert_consistent(tenant.pk, received=100)


@pytest.mark.parametrize("case", BAD_ALERTS)
def test_aggregate_names_the_line_that_is_bad(tenant: Tenant, tmp_path: Path, case: str) -> None:
    text, pointer, detail = BAD_ALERTS[case]
    file = tmp_path / "alerts.ndjson"
    file.write_bytes(lines(1) + b"\n" + text.encode("utf-8", "surrogatepass") + b"\n" + lines(2))
    counts, complaints, status = run(file, tenant)
    assert (counts["opened"], counts["duplicate"], counts["rejected"]) == (1, 1, 1)
    assert status == 1
    first = complaints.splitlines()[0]
    assert first.startswith(f"line 3: {pointer}")
    assert detail in first
    assert_consistent(tenant.pk, received=4)


@pytest.mark.parametrize("case", [name for name in MALFORMED if name not in ("nothing",)])
def test_aggregate_names_the_line_that_is_malformed(
    tenant: Tenant, tmp_path: Path, case: str
) -> None:
    file = tmp_path / "alerts.ndjson"
    file.write_bytes(MALFORMED[case].replace(b"\n", b"\x0b") + b"\n" + lines(2))
    counts, complaints, status = run(file, tenant)
    assert (counts["rejected"], counts["received"], status) == (1, 3, 1)
    assert complaints.startswith("line 1: ")


def test_aggregate_reads_gzip(tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "alerts.ndjson.gz"
    file.write_bytes(gzip.compress(lines(20)))
    counts, _, status = run(file, tenant)
    assert (counts["received"], status) == (20, 0)


def test_aggregate_keeps_what_came_before_a_truncation(tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "alerts.ndjson.gz"
    file.write_bytes(gzip.compress(lines(20_000), compresslevel=1)[:-30])
    _, complaints, status = run(file, tenant, batch_size=500)
    assert status == 1
    assert "cannot be read after line" in complaints
    assert Alert.objects.count() >= 500
    assert_consistent(tenant.pk)


def test_aggregate_reads_standard_input(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(lines(3))))
    counts, _, status = run("-", tenant)
    assert (counts["received"], status) == (3, 0)


@pytest.mark.django_db(transaction=True)
def test_aggregate_ends_when_all_is_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = TenantFactory.create()
    written: list[str] = []
    fold = aggregation.fold

    def position(function: str) -> str:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT {function}()")
            return str(cursor.fetchone()[0])

    def noted(*args: Any, **options: Any) -> Any:
        absorbed = fold(*args, **options)
        written.append(position("pg_current_wal_insert_lsn"))
        return absorbed

    monkeypatch.setattr(aggregation, "fold", noted)
    file = tmp_path / "alerts.ndjson"
    file.write_bytes(lines(6))
    run(file, tenant, batch_size=2)
    assert len(written) == 3
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_wal_flush_lsn() >= %s::pg_lsn", [written[-1]])
        assert cursor.fetchone() == (True,)
    assert Alert.objects.filter(tenant=tenant).count() == 6


def test_aggregate_of_nothing(tenant: Tenant, tmp_path: Path) -> None:
    file = tmp_path / "alerts.ndjson"
    file.write_bytes(b"\n\n")
    counts, _, status = run(file, tenant)
    assert (counts["received"], status) == (0, 0)


@pytest.mark.parametrize(
    ("file", "options", "reason"),
    [
        ("/nowhere/at-all.ndjson", {}, "cannot be read: No such file"),
        ("-", {"tenant": "nobody"}, "There is no tenant 'nobody'"),
        ("-", {"tenant": "No Body"}, "is not a tenant's id"),
        ("-", {"batch_size": 0}, "1 to 10000"),
    ],
)
def test_aggregate_refuses(tenant: Tenant, file: str, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(CommandError, match=reason):
        call_command("aggregate", file, **({"tenant": tenant.pk} | options))
