"""What can keep the embedded PostgreSQL from serving, each with a one-line reason."""

from __future__ import annotations

from django.core.exceptions import ImproperlyConfigured


class EmbeddedDatabaseError(ImproperlyConfigured):
    """The embedded PostgreSQL cannot serve here; the message says why, in one line."""


class BinariesMissing(EmbeddedDatabaseError):
    """The wheel that carries PostgreSQL is not installed."""


class NotACluster(EmbeddedDatabaseError):
    """The data directory holds something else, or a cluster of another major version."""


class ForeignCluster(EmbeddedDatabaseError):
    """The data directory belongs to a user that this process does not run PostgreSQL as."""


class SocketPathTooLong(EmbeddedDatabaseError):
    """No directory at hand leaves room for the path of a unix socket."""


class ServerUserMissing(EmbeddedDatabaseError):
    """Run as root, and the unprivileged user that PostgreSQL insists on cannot be had."""


class StartFailed(EmbeddedDatabaseError):
    """PostgreSQL, or the making of its cluster, gave up or took too long."""
