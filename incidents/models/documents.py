"""The words of incidents and of their timeline, as PostgreSQL's full text search sees them.

The functions are SQL, so that an index and a query cannot differ in how they read a row. Each
document also holds its tenant as a lexeme that no text can produce (it begins with a space): a
search for a word that everybody uses then reads one tenant's entries of the index.
"""

from __future__ import annotations

from typing import Final

from django.contrib.postgres.search import SearchQueryField, SearchVectorField
from django.db.models import BooleanField, F, Func, Q

from incidents.enums import EventType

CREATE_FUNCTIONS: Final = """
CREATE FUNCTION incidents_document(tenant text, title text, description text, error text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsvector('simple', title || ' ' || description || ' ' || coalesce(error, ''))
        || array_to_tsvector(ARRAY[' ' || tenant])
$$;
CREATE FUNCTION incidents_event_document(tenant text, description text)
RETURNS tsvector LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT to_tsvector('simple', description) || array_to_tsvector(ARRAY[' ' || tenant])
$$;
CREATE FUNCTION incidents_words(words text, tenant text)
RETURNS tsquery LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN numnode(plainto_tsquery('simple', words)) = 0 THEN NULL
        WHEN tenant IS NULL THEN plainto_tsquery('simple', words)
        ELSE plainto_tsquery('simple', words) && ('''' || ' ' || tenant || '''')::tsquery
    END
$$
"""
DROP_FUNCTIONS: Final = """
DROP FUNCTION incidents_words(text, text);
DROP FUNCTION incidents_event_document(text, text);
DROP FUNCTION incidents_document(text, text, text, text)
"""

# What every timeline begins with says nothing that the incident itself does not.
SEARCHED_EVENTS: Final = ~Q(event_type=EventType.OPENED, actor__isnull=True)


class IncidentDocument(Func):
    """The words of an incident's title, description and error message."""

    function = "incidents_document"
    output_field = SearchVectorField()

    def __init__(self, *expressions: object, **extra: object) -> None:
        super().__init__(
            *(expressions or map(F, ("tenant_id", "title", "description", "error_message"))),
            **extra,
        )


class EventDocument(Func):
    """The words of an entry on a timeline."""

    function = "incidents_event_document"
    output_field = SearchVectorField()

    def __init__(self, *expressions: object, **extra: object) -> None:
        super().__init__(*(expressions or map(F, ("tenant_id", "description"))), **extra)


class Words(Func):
    """The question for all words of a text, of one tenant or (null) of any; null without words."""

    function = "incidents_words"
    output_field = SearchQueryField()


class Matches(Func):
    """Whether a document answers a question."""

    template = "(%(expressions)s)"
    arg_joiner = " @@ "
    output_field = BooleanField()
