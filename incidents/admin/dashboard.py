"""The first page: what burns now, how it went lately, what waits for a decision."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest


def show(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """What the dashboard shows, for one tenant or all that the person sees."""
    return context
