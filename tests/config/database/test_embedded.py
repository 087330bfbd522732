"""Real servers, each in a directory of its own with a path short enough for a socket."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import psycopg
import pytest
from django.core.exceptions import ImproperlyConfigured

from config.database import account, cluster, embedded, postmaster
from config.database.errors import (
    EmbeddedDatabaseError,
    ForeignCluster,
    NotACluster,
    SocketPathTooLong,
    StartFailed,
)

ROOT = Path(__file__).resolve().parents[3]
START = """
import sys
from pathlib import Path
from config.database import embedded
print(embedded.settings(Path(sys.argv[1]))["HOST"])
"""
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="root runs the server as another user")


@pytest.fixture
def home() -> Iterator[Path]:
    """A directory whose servers are stopped at the end, however the test left them."""
    path = Path(tempfile.mkdtemp(prefix="fb-"))
    yield path
    for directory in [*path.glob("*/postmaster.pid"), *path.glob("*/*/postmaster.pid")]:
        embedded.stop(directory.parent)
        sockets = cluster.socket_directory(directory.parent, account=account.current())
        if sockets != directory.parent:
            sockets.rmdir()
    shutil.rmtree(path)


@pytest.fixture
def data(home: Path) -> Path:
    return home / "pg"


def connect(entry: dict[str, Any]) -> psycopg.Connection[Any]:
    return psycopg.connect(
        host=entry["HOST"],
        port=entry["PORT"],
        user=entry["USER"],
        dbname=entry["NAME"],
        autocommit=True,
    )


def ask(entry: dict[str, Any], question: str) -> Any:
    with connect(entry) as connection:
        row = connection.execute(question).fetchone()
        assert row is not None
        return row[0]


def server_pid(data: Path) -> int:
    found = postmaster.read(data)
    assert found is not None
    return found.pid


def kill_server(data: Path) -> int:
    pid = server_pid(data)
    os.kill(pid, signal.SIGKILL)
    while psutil.pid_exists(pid):
        time.sleep(0.01)
    return pid


def start_elsewhere(data: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START, str(data)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_settings_on_an_empty_machine(data: Path) -> None:
    entry = embedded.settings(data)

    assert entry["ENGINE"] == "django.db.backends.postgresql"
    assert ask(entry, "SELECT current_database()") == "firebreak"
    assert ask(entry, "SELECT lower('ÅÉÎ')") == "åéî"
    wanted = {
        "server_encoding": "UTF8",
        "data_checksums": "on",
        "fsync": "on",
        "synchronous_commit": "on",
        "listen_addresses": "",
        "max_connections": "200",
        "jit": "off",
    }
    assert {name: ask(entry, f"SHOW {name}") for name in wanted} == wanted
    assert ask(entry, "SELECT pg_size_bytes(current_setting('shared_buffers'))") == (
        int(cluster.shared_buffers().removesuffix("MB")) * 1024 * 1024
    )
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    assert sorted(path.name for path in data.parent.iterdir()) == ["pg", "pg.lock", "pg.log"]


@pytest.mark.parametrize(
    ("total", "limit", "wanted"),
    [
        (24, None, "1024MB"),
        (4, None, "512MB"),
        (0.5, None, "128MB"),
        (24, "max\n", "1024MB"),
        (24, f"{2 * 2**30}\n", "256MB"),
        (1, f"{2**60}\n", "128MB"),
    ],
)
def test_shared_buffers_of_a_machine_and_of_a_container(
    total: float,
    limit: str | None,
    wanted: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if limit is not None:
        (tmp_path / "memory.max").write_text(limit)
    monkeypatch.setattr(cluster, "_MEMORY_LIMIT", tmp_path / "memory.max")
    memory = SimpleNamespace(total=int(total * 2**30))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert cluster.shared_buffers() == wanted


def test_settings_when_the_server_is_up_runs_no_program(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = embedded.settings(data)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a program was run, or the lock was taken")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refuse)
        patch.setattr(fcntl, "flock", refuse)
        assert embedded.settings(data) == first


def test_settings_in_a_second_process_reuses_the_server_that_outlived_the_first(
    data: Path,
) -> None:
    first = start_elsewhere(data)
    assert first.wait(60) == 0, first.stderr and first.stderr.read()
    pid = server_pid(data)

    second = start_elsewhere(data)
    output, errors = second.communicate(timeout=60)

    assert second.returncode == 0, errors
    assert (output, errors) == (f"{data}\n", "")
    assert server_pid(data) == pid
    assert embedded.is_running(data)


def test_settings_raced_by_several_first_starts(data: Path) -> None:
    racers = [start_elsewhere(data) for _ in range(3)]
    ends = [(racer.communicate(timeout=60), racer.returncode) for racer in racers]

    assert ends == [((f"{data}\n", ""), 0)] * 3
    server = server_pid(data)
    servers = [
        process.pid
        for process in psutil.process_iter(["ppid"])
        # A child that has just begun still bears the name of its server.
        if process.info["ppid"] != server and postmaster.started_for(process.pid, data)
    ]
    assert servers == [server]


def test_settings_after_kill_9_of_the_server_keeps_the_data(data: Path) -> None:
    entry = embedded.settings(data)
    with connect(entry) as held:
        held.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        # A session is open when the server dies: its process must not be in the way.
        killed = kill_server(data)
        assert not embedded.is_running(data)
        assert embedded.settings(data) == entry
    assert server_pid(data) != killed
    assert ask(entry, "SELECT answer FROM kept") == 42


def test_settings_when_the_stale_pid_is_now_somebody_elses(data: Path) -> None:
    entry = embedded.settings(data)
    with connect(entry) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    kill_server(data)
    # Of the same user, because only such a process makes PostgreSQL itself refuse to start.
    options = account.current().process_options
    with subprocess.Popen(["sleep", "60"], **options) as stranger:
        for name in ("postmaster.pid", ".s.PGSQL.5432.lock"):
            lines = (data / name).read_text().splitlines()
            (data / name).write_text("\n".join([str(stranger.pid), *lines[1:], ""]))

        assert ask(embedded.settings(data), "SELECT answer FROM kept") == 42

        assert stranger.poll() is None
        stranger.kill()


def test_settings_when_the_pid_file_is_empty(data: Path) -> None:
    embedded.settings(data)
    kill_server(data)
    (data / "postmaster.pid").write_text("")

    assert ask(embedded.settings(data), "SELECT 1") == 1


def test_settings_when_the_socket_was_swept_away(data: Path) -> None:
    entry = embedded.settings(data)
    (data / ".s.PGSQL.5432").unlink()

    assert ask(embedded.settings(data), "SELECT 1") == 1
    assert embedded.settings(data) == entry


def test_settings_after_the_data_was_deleted_under_a_server(home: Path) -> None:
    data = home / ("long-" * 20) / "pg"
    embedded.settings(data)
    orphan = server_pid(data)
    while data.exists():  # the server deletes files of its own meanwhile
        shutil.rmtree(data, ignore_errors=True)

    assert ask(embedded.settings(data), "SELECT 1") == 1

    assert not postmaster.started_for(orphan, data)


def test_settings_ends_only_the_servers_whose_data_is_gone(home: Path) -> None:
    # A real server without data may die by itself, in its own time: these stand-ins do not.
    data = home / "pg"
    gone = home / "gone"
    gone.mkdir()
    home.chmod(0o755)

    def stand_in(place: Path) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["postgres", "-c", "read line", "-D", str(data)],
            executable="/bin/sh",
            cwd=place,
            stdin=subprocess.PIPE,
            **account.current().process_options,
        )

    with stand_in(gone) as orphan, stand_in(home) as namesake:
        gone.rmdir()

        embedded.settings(data)

        assert orphan.poll() == -signal.SIGQUIT
        assert namesake.poll() is None
        namesake.kill()
        orphan.kill()


def test_settings_after_a_first_start_that_was_cut_short(data: Path) -> None:
    draft = data.with_name("pg.new")
    draft.mkdir()
    (draft / "PG_VERSION").write_text("18\n")

    assert ask(embedded.settings(data), "SELECT current_database()") == "firebreak"
    assert not draft.exists()


def test_settings_when_the_holder_of_the_lock_was_killed(data: Path) -> None:
    hold = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX)"
    hold += "; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(data.with_name("pg.lock"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        waiter = start_elsewhere(data)
        other = data.with_name("other")
        embedded.settings(other)  # One lock for each directory, not one for the machine.
        assert waiter.poll() is None
        assert not data.exists()
        holder.kill()
    output, errors = waiter.communicate(timeout=60)
    assert (output, errors) == (f"{data}\n", "")


@pytest.mark.parametrize("name", ["long-" * 20, 'a, "b" $HOME'], ids=["long", "odd"])
def test_settings_with_a_path_that_is_no_socket_address(home: Path, name: str) -> None:
    data = home / name / "pg"

    entry = embedded.settings(data)

    sockets = Path(entry["HOST"])
    assert sockets.parent == Path(tempfile.gettempdir())
    assert len(os.fsencode(sockets / ".s.PGSQL.5432")) <= 92
    assert stat.S_IMODE(sockets.stat().st_mode) == 0o700
    assert ask(entry, "SHOW data_directory") == str(data)


def test_settings_with_no_room_for_a_socket_anywhere(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = home / ("long-" * 20) / "pg"
    monkeypatch.setattr(tempfile, "tempdir", str(home / ("temporary-" * 9)))

    with pytest.raises(SocketPathTooLong, match="at most 92 bytes") as refusal:
        embedded.settings(data)

    assert str(data) in str(refusal.value)
    assert not data.exists()


def test_socket_directory_at_the_limit(home: Path) -> None:
    me = account.Account(uid=os.geteuid(), gid=os.getegid(), switched=False)
    room = 92 - len("/.s.PGSQL.5432")
    fitting = Path("/" + "x" * (room - 1))

    assert cluster.socket_directory(fitting, account=me) == fitting
    assert cluster.socket_directory(Path(f"{fitting}x"), account=me) != Path(f"{fitting}x")


def test_settings_with_a_socket_directory_of_somebody_else(home: Path) -> None:
    data = home / ("long-" * 20) / "pg"
    sockets = cluster.socket_directory(data, account=account.current())
    sockets.mkdir()
    sockets.chmod(0o777)
    try:
        with pytest.raises(StartFailed, match="not a private directory"):
            embedded.settings(data)
    finally:
        sockets.rmdir()


def test_settings_of_a_cluster_that_another_user_owns(data: Path) -> None:
    if os.geteuid() == 0:
        data.mkdir()
        os.chown(data, pwd.getpwnam("nobody").pw_uid, -1)
        owner = "nobody"
    else:
        data, owner = Path("/usr"), "root"

    for verb in (embedded.settings, embedded.stop, embedded.is_running):
        with pytest.raises(ForeignCluster, match=f"belongs to user {owner}") as refusal:
            verb(data)
        assert account.name(account.current().uid) in str(refusal.value)


@as_root
def test_settings_as_root_serves_as_another_user_and_opens_only_the_way(home: Path) -> None:
    parent = home / "private"
    parent.mkdir(mode=0o700)

    embedded.settings(parent / "pg")

    server = psutil.Process(server_pid(parent / "pg"))
    assert server.username() == account.SYSTEM_USER
    assert stat.S_IMODE(parent.stat().st_mode) == 0o701
    assert stat.S_IMODE(home.stat().st_mode) == 0o701
    assert parent.stat().st_uid == 0


def test_settings_of_a_directory_with_other_things_in_it(data: Path) -> None:
    data.mkdir()
    me = account.current()
    os.chown(data, me.uid, me.gid)
    (data / "holiday.jpg").touch()

    with pytest.raises(NotACluster, match="neither empty nor a PostgreSQL cluster"):
        embedded.settings(data)

    assert [path.name for path in data.iterdir()] == ["holiday.jpg"]


def test_settings_of_a_cluster_of_another_version(data: Path) -> None:
    data.mkdir()
    me = account.current()
    os.chown(data, me.uid, me.gid)
    (data / "PG_VERSION").write_text("16\n")

    with pytest.raises(NotACluster, match="made by PostgreSQL 16"):
        embedded.settings(data)


def test_settings_when_the_server_refuses_to_start_gives_its_reason(data: Path) -> None:
    embedded.settings(data)
    embedded.stop(data)
    with (data / "postgresql.conf").open("a") as configuration:
        configuration.write("shared_buffers = 'plenty'\n")

    with pytest.raises(StartFailed, match=r'FATAL:.*postgresql\.conf" contains errors') as refusal:
        embedded.settings(data)

    assert "\n" not in str(refusal.value)


def test_settings_where_no_directory_can_be(home: Path) -> None:
    (home / "file").touch()

    with pytest.raises(EmbeddedDatabaseError, match="file") as refusal:
        embedded.settings(home / "file" / "pg")

    assert isinstance(refusal.value, ImproperlyConfigured)


def test_stop_ends_the_server_and_its_sessions(data: Path) -> None:
    entry = embedded.settings(data)
    pid = server_pid(data)
    with connect(entry) as held:
        embedded.stop(data)
        with pytest.raises(psycopg.OperationalError):
            held.execute("SELECT 1")

    assert not postmaster.started_for(pid, data)
    assert not embedded.is_running(data)


def test_stop_where_nothing_runs(data: Path) -> None:
    embedded.stop(data)

    assert not data.parent.joinpath("pg.lock").exists()
    assert not embedded.is_running(data)
