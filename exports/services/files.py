"""The files of a bundle on their way to the database and back, in binary.

As text they would take twice their room, several times over. A connection keeps the room that its
largest row took, so Django is told to close one that carried much, when the request ends.
"""

from __future__ import annotations

import time
from typing import Final, Literal
from uuid import UUID

from django.db import connections

from config.database import routing
from config.database.statements import run
from exports.errors import BundleNotFound
from exports.models import Bundle

File = Literal["document", "pdf"]

_FIELDS: Final = [field.attname for field in Bundle._meta.concrete_fields]
_KEEP: Final = (
    f"INSERT INTO exports_bundle ({', '.join(_FIELDS)}) "  # noqa: S608 (only names of columns)
    f"VALUES ({', '.join(['%s'] * len(_FIELDS))})"
)
_MUCH: Final = 2**20
_READ: Final = "SELECT {file} FROM exports_bundle WHERE tenant_id = %s AND id = %s"


def keep(bundle: Bundle) -> None:
    """Inserts a bundle with its files."""
    run(_KEEP, [getattr(bundle, name) for name in _FIELDS])
    _carried(len(bundle.document) + len(bundle.pdf))


def read(file: File, *, tenant_id: str, bundle_id: UUID) -> bytes:
    """A file of a tenant's bundle; BundleNotFound when it is not, or no longer, kept."""
    rows = run(_READ.format(file=file), [tenant_id, bundle_id])
    if not rows:
        raise BundleNotFound
    content = bytes(rows[0][0])
    _carried(len(content))
    return content


def _carried(octets: int) -> None:
    if octets >= _MUCH:
        connections[routing.current()].close_at = time.monotonic()
