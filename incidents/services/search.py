"""Finding incidents by words, in what they say of themselves and in their timelines."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import QuerySet
from django.db.models.expressions import RawSQL

from incidents.models import Incident

Incidents = TypeVar("Incidents", bound=QuerySet[Incident])


def matching(queryset: Incidents, text: str, *, tenant: str | None = None) -> Incidents:
    """The incidents of ``queryset`` that hold every word of ``text``.

    All of the words have to be in the title, description and error message together, or in one
    entry of the timeline (the entry by which Firebreak itself opened it aside). Case and
    punctuation do not count; words are whole words in any language, unstemmed. A text without a
    word finds nothing. ``tenant`` says whose incidents ``queryset`` holds, where it holds only
    one tenant's: a common word then costs no more than that tenant's share.
    """
    found = RawSQL("SELECT incidents_found(%s, %s)", [text, tenant])
    return queryset.filter(pk__in=found)
