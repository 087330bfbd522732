"""Deleting bundles that a tenant no longer wants to be kept, with what reviewers said of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from config.database import arrays
from config.database.statements import run
from config.operations import disposal
from config.tenancy.services import retention
from config.tenancy.services.retention import BY

# Bundles of one transaction; each may be many megabytes.
STEP: Final = 20

_OLD: Final = """
SELECT id, sha256 FROM exports_bundle WHERE tenant_id = %s AND created_at < %s
ORDER BY created_at LIMIT %s FOR UPDATE SKIP LOCKED
"""


def retire_bundles() -> int:
    """Deletes the bundles that their tenants keep no longer; how many there were.

    The audit log keeps their ids and hashes.
    """
    return retention.in_steps("bundle_days", _retire, step=STEP)


def _retire(tenant_id: str, before: datetime) -> int:
    rows = run(_OLD, [tenant_id, before, STEP])
    if not rows:
        return 0
    ids = [id_ for id_, _ in rows]
    with disposal.logged(
        "retention",
        by=BY,
        tenant_id=tenant_id,
        target="bundles",
        data={
            "bundles": {str(id_): sha256 for id_, sha256 in rows},
            "exported_before": before.isoformat(),
        },
    ):
        packed = arrays.uuids([id_.bytes for id_ in ids])
        run("DELETE FROM exports_bundlereview WHERE bundle_id = ANY(%s::uuid[])", [packed])
        run("DELETE FROM exports_bundle WHERE id = ANY(%s::uuid[])", [packed])
    return len(ids)
