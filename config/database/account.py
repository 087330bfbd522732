"""Whom the embedded PostgreSQL runs as.

PostgreSQL refuses to run as root. An ordinary user runs it as itself; root runs it as a
system user of its own, which must be able to reach the binaries and the data.
"""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from config.database.errors import ForeignCluster, ServerUserMissing

SYSTEM_USER = "pgserver"


@dataclass(frozen=True, slots=True)
class Account:
    """The user of the server's processes; ``switched`` when it is not this process's own."""

    uid: int
    gid: int
    switched: bool

    @property
    def process_options(self) -> dict[str, Any]:
        """The arguments with which ``subprocess`` runs a program as this user."""
        if not self.switched:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def current() -> Account:
    """The account for this process; makes the system user when root first needs it."""
    if os.geteuid() != 0:
        return Account(uid=os.geteuid(), gid=os.getegid(), switched=False)
    entry = _system_user() or _make_system_user()
    return Account(uid=entry.pw_uid, gid=entry.pw_gid, switched=True)


def check_owner(directory: Path, *, account: Account) -> None:
    """Refuse a cluster that another user owns; a directory that is not there yet is fine."""
    try:
        owner = directory.stat().st_uid
    except FileNotFoundError:
        return
    except PermissionError as error:
        raise ForeignCluster(
            f"{directory} is not within reach of user {name(os.geteuid())}: {error.strerror}."
        ) from error
    if owner != account.uid:
        raise ForeignCluster(
            f"The database in {directory} belongs to user {name(owner)}, but user "
            f"{name(os.geteuid())} would run PostgreSQL as {name(account.uid)}: "
            f"run this as {name(owner)}, or set DATABASE_URL."
        )


def open_the_way(path: Path, *, account: Account) -> None:
    """Let the server's user pass through the parents of ``path``: +x for others, never more."""
    if not account.switched:
        return
    for parent in path.resolve().parents:
        status = parent.stat()
        if status.st_uid != account.uid and not status.st_mode & stat.S_IXOTH:
            parent.chmod(stat.S_IMODE(status.st_mode) | stat.S_IXOTH)


def open_the_binaries(installation: Path, *, account: Account) -> None:
    """Let the server's user read and run the wheel's files when a tight umask installed them."""
    if not account.switched:
        return
    open_the_way(installation, account=account)
    if (installation / "bin" / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    for path in (installation, *installation.rglob("*")):
        if path.is_symlink():
            continue
        mode = stat.S_IMODE(path.stat().st_mode)
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode:
            path.chmod(wanted)


def name(uid: int) -> str:
    """The user's name, or the number of a user that has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _system_user() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        return None


def _make_system_user() -> pwd.struct_passwd:
    command = ["useradd", "--system", "--user-group", "--no-create-home"]
    command += ["--shell", "/usr/sbin/nologin", SYSTEM_USER]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
        reason = run.stderr.strip()
    except OSError as error:
        reason = f"useradd: {error.strerror}"
    # Another process may have made the user a moment ago: only its absence is a failure.
    entry = _system_user()
    if entry is None:
        raise ServerUserMissing(
            f"PostgreSQL does not run as root, and the user {SYSTEM_USER} cannot be made "
            f"({reason}): run this as an ordinary user, or set DATABASE_URL."
        )
    return entry
