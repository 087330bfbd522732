"""Finding incidents by words, in what they say of themselves and in their timelines."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import QuerySet, Value

from incidents.models import Event, Incident
from incidents.models.documents import (
    SEARCHED_EVENTS,
    EventDocument,
    IncidentDocument,
    Matches,
    Words,
)

Incidents = TypeVar("Incidents", bound=QuerySet[Incident])


def matching(queryset: Incidents, text: str, *, tenant: str | None = None) -> Incidents:
    """The incidents of ``queryset`` that hold every word of ``text``.

    All of the words have to be in the title, description and error message together, or in one
    entry of the timeline (the entry by which Firebreak itself opened it aside). Case and
    punctuation do not count; words are whole words in any language, unstemmed. A text without a
    word finds nothing. ``tenant`` says whose incidents ``queryset`` holds, where it holds only
    one tenant's: a common word then costs no more than that tenant's share.
    """
    words = Words(Value(text), Value(tenant))
    incidents = Incident.objects.filter(Matches(IncidentDocument(), words)).values("pk")
    events = Event.objects.filter(SEARCHED_EVENTS, Matches(EventDocument(), words))
    # One union, not two conditions joined by OR: each side is then found by its own index.
    found = incidents.order_by().union(events.order_by().values("incident_id"))
    return queryset.filter(pk__in=found)
