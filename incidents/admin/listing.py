"""Which incidents a list shows, in which order, and how far back it looks for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import BooleanField, Q, QuerySet
from django.db.models.expressions import RawSQL
from django.http import HttpRequest

from config import clock
from config.backstage import Page, page, tenants_seen
from incidents.admin.forms import MAX_TENANTS, IncidentFilterForm
from incidents.enums import Status, Topic
from incidents.models import Incident
from incidents.services import reach, reads
from incidents.services.reads import RETENTION_DAYS, Narrowing, search

PAGE_SIZE: Final = 35
_ORDERS: Final = {
    "worst": ("severity", "id"),
    "calls": ("calls_affected", "id"),
    "cost": ("cost_delta_cents", "id"),
    "seen": ("last_seen_at", "id"),
}
# What may hold of few incidents, or of none, far apart.
_SPARSE: Final = (
    *("severity", "acknowledged", "trigger_type"),
    *("category", "agent_id", "run_id", "assignee"),
)


@dataclass(frozen=True, slots=True)
class Listed:
    """A page of the list. Before the moment ``since``, if there is one, it did not look: for more
    rows, or for rows to put in order. Then ``reach`` is how many incidents it looked through.
    """

    page: Page
    reach: int
    since: datetime | None = None
    is_sorted: bool = False


def shown(request: HttpRequest, form: IncidentFilterForm, incidents: QuerySet[Incident]) -> Listed:
    """The page of the list that the request's filters, order and cursor name."""
    walk = _Walk(request, form)
    narrowed = walk.narrow(incidents)
    cursor = request.GET.get("cursor")
    order = _ORDERS.get(form.order_shown)
    if order is None:
        reaches = walk.end if walk.may_be_long else None
        found = page(narrowed, by=(walk.column, "id"), cursor=cursor, size=PAGE_SIZE, reach=reaches)
        return Listed(found, walk.rows, found.end and reach.moment_of(found.end))
    end = None if walk.is_short else walk.end(None, False)
    if end is not None:
        narrowed = narrowed.filter(**{f"{walk.column}__gte": end})
    found = page(narrowed, by=order, cursor=cursor, size=PAGE_SIZE)
    return Listed(found, walk.rows, end and reach.moment_of(end), is_sorted=True)


class _Walk:
    """The filters, and the way from the newest incident to older ones that finds what they leave.

    Ids grow with time, and their index serves all tenants; those of times serve one each. What
    started before some moment is found by that: it may have been reported at any time after.
    """

    def __init__(self, request: HttpRequest, form: IncidentFilterForm) -> None:
        self.given: dict[str, Any] = form.cleaned_data if form.is_valid() else {}
        self.topic = form.topic_shown
        seen = tenants_seen(request)
        self.only = self.given.get("tenant") or (
            next(iter(seen)) if seen is not None and len(seen) == 1 else None
        )
        # None: too many to be named one by one.
        names = [self.only] if self.only else form.tenant_names
        self.tenants = names if len(names) < MAX_TENANTS else None
        after, before = self.given.get("started_after"), self.given.get("started_before")
        self.after: Any = after and reach.earliest(after)
        self.before: Any = None
        self.column = "created_at" if self.only else "id"
        if before and self.tenants is not None:
            self.column, self.after, self.before = "started_at", after, before
        elif self.topic == Topic.HISTORICAL:
            self.before = reach.latest(clock.now() - timedelta(days=RETENTION_DAYS))
        if self.column == "id":
            self.after = self.after and reach.id_at(self.after)
            self.before = self.before and reach.id_at(self.before)
        # None: there are no words, or so many incidents have them that each is asked.
        self.found: list[UUID] | None = None
        self.is_worded = False
        if words := self.given.get("search"):
            # Of all, where they are too many to be named: the role in force sees to the rest.
            whose = self.tenants if self.only or seen is not None else None
            is_sampled = bool(self.only) or seen is None
            self.is_worded = is_sampled and search.are_common(words, tenant=self.only)
            if not self.is_worded:
                found = search.found_by(words, tenants=whose)
                self.is_worded = len(found) > search.FEW
                self.found = None if self.is_worded else found
        self.rows = reach.WORDED if self.is_worded else reach.ROWS
        # Few enough to be read all: those that burn, those with a word, those of a rare kind.
        self.is_short = (
            self.found is not None
            or self.topic == Topic.ACTIVE
            or self.given.get("status") in (Status.OPEN, Status.ACKNOWLEDGED)
            or (self.tenants is not None and reach.is_rare(tenants=self.tenants, given=self.given))
        )
        # The incidents of several tenants by when they started come from an index for each.
        is_merged = self.column == "started_at" and not self.only
        self.may_be_long = not self.is_short and (
            is_merged or self.is_worded or any(self.given.get(name) for name in _SPARSE)
        )

    def end(self, place: Any, backwards: bool) -> Any:
        """Where it stops to look, if it begins at a place."""
        after, before = self.after, self.before
        if place is not None:
            after, before = (place, before) if backwards else (after, place)
        return reach.end(
            column=self.column,
            tenants=self.tenants,
            after=after,
            before=before,
            ascending=backwards,
            rows=self.rows,
        )

    def narrow(self, incidents: QuerySet[Incident]) -> QuerySet[Incident]:
        """The incidents that the filters leave; the same filters that the API has."""
        given = self.given
        narrowing = Narrowing(
            topic=None if self.topic == "all" else self.topic,
            status=[given["status"]] if given.get("status") else [],
            severity=given.get("severity") or (),
            **{
                name: given.get(name) or None
                for name in ("trigger_type", "agent_id", "run_id", "assignee")
            },
        )
        found = Q()
        if self.only:
            found &= Q(tenant_id=self.only)
        elif self.tenants is not None and (self.column == "started_at" or given.get("category")):
            # For the indexes that are led by the tenant.
            found &= Q(tenant_id__in=self.tenants)
        if self.column != "started_at":
            bounds = {f"{self.column}__gte": self.after, f"{self.column}__lte": self.before}
            found &= Q(**{name: value for name, value in bounds.items() if value is not None})
        # As the insights do, by when an incident started, which is what the dashboard counts.
        if given.get("started_after"):
            found &= Q(started_at__gte=given["started_after"])
        if given.get("started_before"):
            found &= Q(started_at__lt=given["started_before"])
        if given.get("acknowledged"):
            found &= Q(acknowledged_at__isnull=given["acknowledged"] == "no")
        if given.get("category"):
            incidents = incidents.filter(_raw(f"{reach.CATEGORY} = %s", [given["category"]]))
        if self.found is not None:
            incidents = incidents.filter(_raw("incidents_incident.id = ANY(%s)", [self.found]))
        elif self.is_worded:
            incidents = incidents.filter(_raw(*search.says(given["search"])))
        return reads.narrow(incidents.filter(found), narrowing, tenant=self.only)


def _raw(condition: str, parameters: list[Any]) -> RawSQL:
    return RawSQL(condition, parameters, BooleanField())  # noqa: S611 - our own SQL
