"""The words of incidents and of their timeline, as PostgreSQL's full text search sees them.

The functions are SQL, so that an index and a query cannot differ in how they read a row. Each
document also holds its tenant as a lexeme that no text can produce (it begins with a space): a
search for a word that everybody uses then reads one tenant's entries of the index.
"""

from __future__ import annotations

from typing import Any, Final

from django.contrib.postgres.search import SearchVectorField
from django.db.models import F, Func, Q

from config.database.isolation import (
    STAFF_ROLE,
    TENANT_ROLE,
    TENANT_SETTING,
    TENANTS_SETTING,
)
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
SEARCHED_SQL: Final = f"NOT (e.actor IS NULL AND e.event_type = '{EventType.OPENED}')"

# Security that goes by rows keeps an operator that might leak (as the one of full text might)
# from being asked of an index before the row's tenant was; so the owner of the tables asks, and
# answers what the role in force may see.
#
# All at once, as an array: a function of the owner's that answers one by one would change roles for
# each. An incident is in it more than once if it says the words more than once; with ``most``
# there are no more than so many.
CREATE_FOUND: Final = f"""
CREATE OR REPLACE FUNCTION incidents_found(words text, tenant text, most bigint) RETURNS uuid[]
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT array_agg(l.id) FROM (
        SELECT f.id FROM (
            SELECT i.id, i.tenant_id FROM incidents_incident i
            WHERE incidents_document(i.tenant_id, i.title, i.description, i.error_message)
                @@ incidents_words(words, tenant)
            UNION ALL
            SELECT e.incident_id, e.tenant_id FROM incidents_event e
            WHERE incidents_event_document(e.tenant_id, e.description)
                @@ incidents_words(words, tenant)
                AND {SEARCHED_SQL}
        ) f
        WHERE CASE current_setting('role')
            WHEN '{TENANT_ROLE}' THEN f.tenant_id = current_setting('{TENANT_SETTING}', true)
            WHEN '{STAFF_ROLE}' THEN f.tenant_id = ANY(
                string_to_array(current_setting('{TENANTS_SETTING}', true), ','))
            ELSE true
        END
        LIMIT most
    ) l
$$
"""  # noqa: S608 - only our own constants are interpolated
# Not for any other role that may log in to the database: to those it would answer as to the owner.
KEEP_FOUND: Final = f"""
REVOKE ALL ON FUNCTION incidents_found(text, text, bigint) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION incidents_found(text, text, bigint) TO {TENANT_ROLE}, {STAFF_ROLE}
"""
LEAVE_FOUND: Final = f"""
REVOKE ALL ON FUNCTION incidents_found(text, text, bigint) FROM {TENANT_ROLE}, {STAFF_ROLE};
GRANT EXECUTE ON FUNCTION incidents_found(text, text, bigint) TO PUBLIC
"""
DROP_FOUND: Final = "DROP FUNCTION incidents_found(text, text, bigint)"


class IncidentDocument(Func):
    """The words of an incident's title, description and error message."""

    function = "incidents_document"
    output_field = SearchVectorField()

    def __init__(self, *expressions: Any, **extra: Any) -> None:
        super().__init__(
            *(expressions or map(F, ("tenant_id", "title", "description", "error_message"))),
            **extra,
        )


class EventDocument(Func):
    """The words of an entry on a timeline."""

    function = "incidents_event_document"
    output_field = SearchVectorField()

    def __init__(self, *expressions: Any, **extra: Any) -> None:
        super().__init__(*(expressions or map(F, ("tenant_id", "description"))), **extra)
