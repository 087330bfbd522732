"""Firebreak behind PgBouncer in transaction mode: tenants share server connections, never rows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
import requests
from django.db import connection

from incidents.models import Alert
from tests.factories.facts import make_incident
from tests.factories.tenancy import TenantFactory, bearer, issue_key
from tests.servers import HOST, database_url, free_port, granian, running

PROGRAM = shutil.which("pgbouncer")
REQUESTS = 60

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed"),
]


def version() -> tuple[int, ...]:
    said = subprocess.run([str(PROGRAM), "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"(\d+)\.(\d+)", said.stdout)
    assert found is not None
    return int(found[1]), int(found[2])


@contextmanager
def pgbouncer(directory: Path, *, pool: int) -> Iterator[int]:
    """PgBouncer before the database of this test, with so many server connections; its port."""
    server = connection.settings_dict
    port = free_port()
    target = {
        "host": server["HOST"] or "/var/run/postgresql",
        "port": server["PORT"] or "5432",
        "dbname": server["NAME"],
        "user": server["USER"],
        "password": server["PASSWORD"],
    }
    settings = {
        "listen_addr": HOST,
        "listen_port": port,
        "unix_socket_dir": "",
        "auth_type": "any",
        "pool_mode": "transaction",
        "default_pool_size": pool,
        "max_client_conn": 100,
    }
    if version() >= (1, 21):
        settings["max_prepared_statements"] = 200
    configuration = directory / "pgbouncer.ini"
    configuration.write_text(
        "[databases]\n* = "
        + " ".join(f"{name}='{value}'" for name, value in target.items() if value)
        + "\n[pgbouncer]\n"
        + "".join(f"{name} = {value}\n" for name, value in settings.items())
    )
    command = [str(PROGRAM), str(configuration)]
    if os.getuid() == 0:
        # It does not run as root: the user that the database's socket belongs to, or anybody.
        for path in (directory, *directory.parents[:2]):
            path.chmod(0o755)
        socket = Path(target["host"])
        owner = socket.owner() if socket.is_dir() else "nobody"
        command = [str(PROGRAM), "-u", owner, str(configuration)]
    log = (directory / "pgbouncer.log").open("w+")
    process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _await(port, process, log)
        yield port
    finally:
        process.terminate()
        process.wait(timeout=10)
        log.close()


def _await(port: int, process: subprocess.Popen[bytes], log: Any) -> None:
    deadline = time.monotonic() + 30
    while True:
        try:
            direct(port).close()
            return
        except psycopg.OperationalError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                pytest.fail(f"pgbouncer does not answer: {error}\n{log.read()}")
            time.sleep(0.1)


def direct(port: int) -> psycopg.Connection[Any]:
    """A client of PgBouncer like any other."""
    return psycopg.connect(
        host=HOST, port=port, user="anybody", dbname="any", prepare_threshold=None, autocommit=True
    )


MODES = [
    pytest.param("0", id="unprepared"),
    pytest.param(
        "1",
        id="prepared",
        marks=pytest.mark.skipif(
            PROGRAM is None or version() < (1, 21),
            reason="pgbouncer keeps prepared statements from version 1.21 on",
        ),
    ),
]


@pytest.mark.parametrize("prepared", MODES)
def test_tenants_never_mix_on_pooled_connections(tmp_path: Path, prepared: str) -> None:
    tenants = [TenantFactory.create() for _ in range(3)]
    keys: dict[str, str] = {tenant.pk: issue_key(tenant)[1] for tenant in tenants}
    incidents = {
        tenant.pk: make_incident(tenant, error_message=f"of {tenant.pk}") for tenant in tenants
    }
    with pgbouncer(tmp_path, pool=2) as port:
        url = database_url({"USER": "x", "PASSWORD": "", "HOST": HOST, "PORT": port, "NAME": "any"})
        environment = {
            "DATABASE_URL": url,
            "DATABASE_PREPARED_STATEMENTS": prepared,
            "METRICS_DIR": str(tmp_path / "metrics"),
        }
        http = free_port()
        command = granian(http, workers=1, threads=6)
        with running(command, http, environment=environment), ThreadPoolExecutor(6) as threads:
            call = _caller(http, keys, incidents)
            outcomes = list(threads.map(call, range(REQUESTS)))
        assert set(outcomes) == {"ok"}
        with direct(port) as pooled:
            for _ in range(4):
                assert pooled.execute(
                    "SELECT current_user = session_user, "
                    "coalesce(current_setting('firebreak.tenant', true), ''), "
                    "coalesce(current_setting('firebreak.tenants', true), '')"
                ).fetchone() == (True, "", "")
    for name in keys:
        assert Alert.objects.filter(tenant=name, trigger_type="freeze").count() == REQUESTS // 3


def _caller(port: int, keys: dict[str, str], incidents: dict[str, Any]) -> Callable[[int], str]:
    """Reports, reads and asks for another's, in the name of one tenant after the other."""
    names = list(keys)
    base = f"http://{HOST}:{port}/api/v1"

    def call(number: int) -> str:
        name = names[number % len(names)]
        other = names[(number + 1) % len(names)]
        headers = bearer(keys[name])
        report = {"trigger_type": "freeze", "call_id": f"call-{number}", "error_message": name}
        reported = requests.post(f"{base}/alerts/", json=report, headers=headers, timeout=60)
        assert reported.status_code == 201, reported.text
        listed = requests.get(f"{base}/incidents/", headers=headers, timeout=60)
        assert listed.status_code == 200, listed.text
        seen = {row["id"] for row in listed.json()["results"]}
        assert str(incidents[name].pk) in seen
        assert not seen & {str(incidents[one].pk) for one in names if one != name}
        foreign = f"{base}/incidents/{incidents[other].pk}/"
        assert requests.get(foreign, headers=headers, timeout=60).status_code == 404
        assert requests.get(f"{base}/whoami/", headers=headers, timeout=60).json()["tenant"] == name
        return "ok"

    return call
