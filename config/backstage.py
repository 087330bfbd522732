"""What the admin's screens share: whose rows a person sees, who acts, and pages without a count.

Rules live in the services; here is only how the admin reaches them.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.paginator import InfinitePaginator

from config.actors import Actor
from config.tenancy.models import Tenant
from config.tenancy.services import staff

VIA: Final = "admin"
admin.site.empty_value_display = "\N{EN DASH}"
# What a cursor begins with: which way it leads.
NEWER: Final = "n"
OLDER: Final = "o"


def tenants_seen(request: HttpRequest) -> frozenset[str] | None:
    """The ids of the tenants that the person sees; None: all of them. Asked once a request."""
    if not hasattr(request, "firebreak_tenants"):
        request.firebreak_tenants = staff.tenants_of(request.user)  # type: ignore[attr-defined]
    return request.firebreak_tenants  # type: ignore[attr-defined,no-any-return]


def tenants(request: HttpRequest) -> QuerySet[Tenant]:
    """The tenants that the person sees."""
    seen = tenants_seen(request)
    return Tenant.objects.all() if seen is None else Tenant.objects.filter(pk__in=seen)


def actor(request: HttpRequest) -> Actor:
    """The person at the keyboard, as timelines name them."""
    return Actor(via=VIA, name=request.user.get_username())


class TenantModelAdmin(ModelAdmin):
    """Screens of what belongs to a tenant, which ``tenant_lookup`` leads to.

    A person sees and acts on the rows of their tenants only. Lists count nothing: they have a
    next page or they have not.
    """

    tenant_lookup = "tenant_id"
    # What the list says when there is nothing in it, and its button for adding.
    empty_words = "There is nothing here yet."
    add_words = "Add"
    paginator = InfinitePaginator
    show_full_result_count = False
    list_disable_select_all = True
    list_per_page = 25

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        queryset: QuerySet[Any] = super().get_queryset(request)
        seen = tenants_seen(request)
        return queryset if seen is None else queryset.filter(**{f"{self.tenant_lookup}__in": seen})

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        title = str(self.opts.verbose_name_plural)
        named = {"title": title[:1].upper() + title[1:]}
        return super().changelist_view(request, named | (extra_context or {}))

    def _sees(self, request: HttpRequest, obj: Any) -> bool:
        """Whether the object (or its key, as some hooks are given) is of a tenant of theirs."""
        if obj is None or tenants_seen(request) is None:
            return True
        key = obj.pk if isinstance(obj, Model) else obj
        return bool(self.get_queryset(request).filter(pk=key).exists())

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_view_permission(request, obj)) and self._sees(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and self._sees(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and self._sees(request, obj)

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.related_model is Tenant:
            kwargs["queryset"] = tenants(request)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


class LabelledTabularInline(TabularInline):
    """Rows in a table, whose fields say what they are to those who cannot see its head."""

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            label = str(field.label)
            widget = getattr(field.widget, "widget", field.widget)
            widget.attrs.setdefault("aria-label", label[:1].upper() + label[1:])
        return field


class ReadOnlyModelAdmin(TenantModelAdmin):
    """Screens of what is written once, or only by services: to be looked at, not edited."""

    change_form_before_template = "incidents/admin/read_only.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a list, and the cursors (None: there is nothing) to what lies around them.

    ``end`` is the value of the first field at which looking for rows ended, though there may be
    more of them beyond; ``backwards`` is towards the first page.
    """

    rows: list[Any]
    newer: str | None
    older: str | None
    end: Any = None
    backwards: bool = False


# From the value of the first field where a page begins (None: with the first of all), and whether
# it goes up: the value that is the last to be looked at (None: look at all of them).
Reach = Callable[[Any, bool], Any]


def page(
    queryset: QuerySet[Any],
    *,
    by: Sequence[str],
    cursor: str | None,
    size: int,
    reach: Reach | None = None,
) -> Page:
    """The rows after (or before) a cursor, all the fields in ``by`` descending, the last unique.

    No row is counted or skipped, so the last page costs what the first does. A cursor that is
    none starts at the beginning. With ``reach`` a page looks so far and no further, and may
    have few rows, or none, though there are more; its cursors lead on from there. ``by`` is then
    a field and the id.
    """
    backwards, place = _read(cursor, [queryset.model._meta.get_field(name) for name in by])
    end = reach(place[0] if place else None, backwards) if reach else None
    if place is not None:
        queryset = queryset.filter(_beyond(by, place, "gt" if backwards else "lt"))
    if end is not None:
        queryset = queryset.filter(**{f"{by[0]}__{'lte' if backwards else 'gte'}": end})
    order = by if backwards else [f"-{name}" for name in by]
    rows = list(queryset.order_by(*order)[: size + 1])
    more = len(rows) > size
    rows = rows[:size]
    if backwards:
        rows.reverse()
    ended = end is not None and not more
    # A page without rows leads back to where it was come from.
    places = [_place(by, rows[at]) if rows else place for at in (0, -1)]
    if ended:
        places[0 if backwards else -1] = [end, _EDGES[backwards]]
    ways = (more or ended, True) if backwards else (place is not None, more or ended)
    newer, older = (
        _write(way, where) if leads and where else None
        for way, where, leads in zip((NEWER, OLDER), places, ways, strict=True)
    )
    return Page(rows, newer, older, end if ended else None, backwards)


# Beyond all ids that go with one value, downwards and upwards.
_EDGES: Final = (UUID(int=0), UUID(int=2**128 - 1))


def _place(by: Sequence[str], row: Any) -> list[Any]:
    return [getattr(row, name) for name in by]


def _beyond(by: Sequence[str], place: Sequence[Any], way: str) -> Q:
    """The rows past a place. The first field is bounded on its own, for its index to be used."""
    found = Q()
    equal = Q()
    for name, value in zip(by, place, strict=True):
        found |= equal & Q(**{f"{name}__{way}": value})
        equal &= Q(**{name: value})
    return Q(**{f"{by[0]}__{way}e": place[0]}) & found


def _write(way: str, place: Sequence[Any]) -> str:
    values = [str(value) for value in place]
    return way + base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _read(cursor: str | None, fields: Sequence[Any]) -> tuple[bool, list[Any] | None]:
    """Which way a cursor leads, and from where: None when it is none of ours."""
    if not cursor or cursor[0] not in (NEWER, OLDER):
        return False, None
    data = cursor[1:]
    try:
        values = json.loads(base64.urlsafe_b64decode(data + "=" * (-len(data) % 4)))
        if not isinstance(values, list) or len(values) != len(fields):
            return False, None
        place = [field.to_python(str(value)) for field, value in zip(fields, values, strict=True)]
    except (ValueError, RecursionError, ValidationError):
        return False, None
    return cursor[0] == NEWER, place
