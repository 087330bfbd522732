"""The frame around the admin's screens: where a person is, and what an empty list says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import template

register = template.Library()


@register.filter
def trail(parts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The way to a screen, its lists called as the side bar calls them, without their app."""
    # Libraries of tags are loaded before the admin's classes are there.
    from incidents.admin import site

    names = site.names()
    return [
        {"link": part.get("link"), "title": names.get(str(part.get("link")), part["title"])}
        for part in (parts[1:] if len(parts) > 1 else parts)
    ]


@register.filter
def empty_words(screen: Any) -> str:
    """What a list says when there is nothing in it."""
    return str(getattr(screen, "empty_words", "There is nothing here yet."))
