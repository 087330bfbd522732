"""Incidents in the admin: what is burning, how bad, since when, what to do, and did it stop."""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from config.backstage import TenantModelAdmin, actor, tenants
from config.tenancy.models import SavedView
from incidents.admin import detail, listing
from incidents.admin.acts import ACTS, MAX_AT_ONCE, Act, perform
from incidents.admin.charts import sparkline
from incidents.admin.forms import IncidentFilterForm, OpenForm
from incidents.enums import Severity, Status
from incidents.models import Incident
from incidents.services import glances, lifecycle

SCREEN: Final = "incidents"
BULK: Final = ("acknowledge", "resolve", "assign", "severity")


@admin.register(Incident)
class IncidentAdmin(TenantModelAdmin):
    """The list, the page of one, and the acts; nothing here is edited, everything is done."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("incidents.add_incident"))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_triage_permission(self, request: HttpRequest) -> bool:
        """Whether the person may act on incidents; the tenant is checked with each of them."""
        return bool(request.user.has_perm("incidents.change_incident"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path("act/<slug:name>/", view(self.bulk_view), name="incidents_incident_bulk"),
            path("views/", view(self.views_view), name="incidents_incident_views"),
            path(
                "<uuid:object_id>/act/<slug:name>/",
                view(self.act_view),
                name="incidents_incident_act",
            ),
            *super().get_urls(),
        ]

    # --- the list

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = IncidentFilterForm(request)
        listed = listing.shown(request, form, self.get_queryset(request))
        shown = listed.page
        sketches = glances.sketches(incidents=shown.rows)
        for incident in shown.rows:
            if sketch := sketches.get(incident.pk):
                incident.shape = sparkline(sketch.counts)
                incident.shape_words = _spread(incident, sketch)
            incident.title_says_trigger = incident.title.startswith(incident.trigger_type)
        topic = form.topic_shown
        given = form.cleaned_data if form.is_valid() else {}
        over = topic in ("resolved", "historical") or given.get("status") == Status.RESOLVED
        query = request.GET.copy()
        query.pop("cursor", None)
        return TemplateResponse(
            request,
            "admin/incidents/incident/list.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Incidents",
                "is_fullwidth": "1",
                "form": form,
                "topic": topic,
                "order": form.order_shown,
                "page": shown,
                "listed": listed,
                "rows": shown.rows,
                "acts": [
                    ACTS[name] for name in BULK if not (over and name in ("acknowledge", "resolve"))
                ]
                if self.has_triage_permission(request)
                else [],
                "has_add_permission": self.has_add_permission(request),
                "saved_views": SavedView.objects.filter(user_id=request.user.pk, screen=SCREEN),
                "query_string": query.urlencode(),
                "several_tenants": len(form.fields["tenant"].choices) > 2,  # type: ignore[attr-defined]
                **(extra_context or {}),
            },
        )

    def views_view(self, request: HttpRequest) -> HttpResponse:
        """Saves the list as it is filtered under a name, or forgets one."""
        if request.method == "POST" and self.has_view_permission(request):
            if "forget" in request.POST:
                SavedView.objects.filter(
                    user_id=request.user.pk, screen=SCREEN, pk=request.POST["forget"]
                ).delete()
            elif name := request.POST.get("name", "").strip()[:60]:
                SavedView.objects.update_or_create(
                    user_id=request.user.pk,
                    screen=SCREEN,
                    name=name,
                    defaults={"query": request.POST.get("query", "")[:2000]},
                )
        return HttpResponseRedirect(_list(request.POST.get("query", "")[:2000]))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: Any = None
    ) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = OpenForm(request)
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            incident = lifecycle.open_by_hand(
                tenant=tenants(request).get(pk=given["tenant"]),
                by=actor(request),
                title=given["title"],
                severity=Severity.named(given["severity"]),
                category=given["category"] or None,
                description=given["description"],
                run_id=given["run_id"] or None,
            )
            messages.success(request, f"Opened: {incident.title}")
            return HttpResponseRedirect(_address(incident.pk))
        return TemplateResponse(
            request,
            "admin/incidents/incident/open.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Open an incident",
                "form": form,
            },
        )

    # --- one incident

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        incident = self._incident(request, object_id)
        may = self.has_triage_permission(request)
        return TemplateResponse(
            request,
            "admin/incidents/incident/detail.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": incident.title[:120],
                "original": incident,
                "incident": incident,
                "acts": [
                    act
                    for act in ACTS.values()
                    if may and act.name != "comment" and lifecycle.can(act.transition, incident)
                ],
                "may_comment": may,
                "comment_form": ACTS["comment"].form(),
                **detail.context(request, incident),
                **(extra_context or {}),
            },
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """The timeline is the history."""
        incident = self._incident(request, object_id)
        return HttpResponseRedirect(_address(incident.pk) + "#timeline")

    def _incident(self, request: HttpRequest, object_id: Any) -> Incident:
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            key = object_id if isinstance(object_id, UUID) else UUID(str(object_id))
        except ValueError as error:
            raise Http404("No such incident.") from error
        incident = self.get_queryset(request).filter(pk=key).first()
        if incident is None:
            raise Http404("No such incident.")
        return incident  # type: ignore[no-any-return]

    # --- acts

    def act_view(self, request: HttpRequest, object_id: UUID, name: str) -> HttpResponse:
        """One act on one incident: asks what the act needs to know, then does it."""
        act = self._act(request, name)
        incident = self._incident(request, object_id)
        submitted = request.method == "POST" and ("confirm" in request.POST or not act.asks)
        form = act.form(
            request.POST if submitted else None, initial=_initial(request, act, incident)
        )
        if not submitted or not form.is_valid():
            return self._ask(request, act, form, [incident], back=_address(incident.pk))
        (done,) = perform(act, [incident], by=actor(request), arguments=form.arguments())
        if done.error is not None:
            messages.error(request, f"{act.title}: {done.error.detail}")
        else:
            messages.success(request, f"{act.done}.")
        return HttpResponseRedirect(_address(incident.pk))

    def bulk_view(self, request: HttpRequest, name: str) -> HttpResponse:
        """One act on several incidents: each is changed or refused by itself, and says which."""
        act = self._act(request, name)
        back = _list(request.POST.get("query", "")[:2000])
        if name not in BULK or request.method != "POST":
            raise Http404("No such act.")
        chosen = _chosen(request)
        if not 1 <= len(chosen) <= MAX_AT_ONCE:
            messages.warning(request, f"Choose 1 to {MAX_AT_ONCE} incidents first.")
            return HttpResponseRedirect(back)
        incidents = list(self.get_queryset(request).filter(pk__in=chosen).order_by("-id"))
        if not incidents:
            raise Http404("No such incidents.")
        submitted = "confirm" in request.POST or not act.asks
        form = act.form(request.POST if submitted else None)
        if not submitted or not form.is_valid():
            return self._ask(request, act, form, incidents, back=back)
        results = perform(act, incidents, by=actor(request), arguments=form.arguments())
        changed = sum(result.error is None for result in results)
        if len(results) == changed == 1:
            messages.success(request, f"{act.done}: {results[0].incident.title[:200]}")
            return HttpResponseRedirect(back)
        return TemplateResponse(
            request,
            "admin/incidents/incident/results.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"{act.title}: results",
                "act": act,
                "results": results,
                "changed": changed,
                "refused": len(results) - changed,
                "missing": len(chosen) - len(results),
                "back": back,
            },
        )

    def _act(self, request: HttpRequest, name: str) -> Act:
        if name not in ACTS:
            raise Http404("No such act.")
        if not self.has_triage_permission(request):
            raise PermissionDenied
        return ACTS[name]

    def _ask(
        self, request: HttpRequest, act: Act, form: Any, incidents: list[Incident], *, back: str
    ) -> HttpResponse:
        return TemplateResponse(
            request,
            "admin/incidents/incident/act.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": act.title,
                "act": act,
                "form": form,
                "incidents": incidents,
                "query": request.POST.get("query", ""),
                "back": back,
            },
            status=400 if form.errors else 200,
        )


def _spread(incident: Incident, sketch: glances.Sketch) -> str:
    number = sum(sketch.counts)
    latest = "latest " if number < incident.alerts_count else ""
    return (
        f"{latest}{number:,} alert{'' if number == 1 else 's'}, from "
        f"{sketch.start:%Y-%m-%d %H:%M:%S} to {sketch.end:%Y-%m-%d %H:%M:%S} UTC"
    )


def _initial(request: HttpRequest, act: Act, incident: Incident) -> dict[str, Any]:
    if act.name == "severity":
        return {"severity": Severity(incident.severity).label}
    if act.name == "assign":
        return {"assignee": incident.assignee or request.user.get_username()}
    return {}


def _chosen(request: HttpRequest) -> list[UUID]:
    chosen = []
    for value in request.POST.getlist("ids"):
        try:
            chosen.append(UUID(value))
        except ValueError:
            continue
    return list(dict.fromkeys(chosen))


def _address(key: UUID) -> str:
    return reverse("admin:incidents_incident_change", args=[key])


def _list(query: str = "") -> str:
    # Parsed and written again, so that what comes back is a query and nothing else.
    query = urlencode(list(QueryDict(query).lists()), doseq=True)
    return reverse("admin:incidents_incident_changelist") + (f"?{query}" if query else "")
