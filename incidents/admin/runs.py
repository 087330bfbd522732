"""Runs in the admin: what each did, step by step, and where it broke a policy."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.backstage import ReadOnlyModelAdmin
from incidents.models import Failure, Incident, IncidentRun, Run, Step, Trace, Violation
from incidents.templatetags.firebreak import NOTHING, ago, badge, count, money

STEPS: Final = 100
INCIDENTS: Final = 20


@admin.register(Run)
class RunAdmin(ReadOnlyModelAdmin):
    list_display = ["run", "tenant", "agent", "state", "incidents", "cost", "seen"]
    empty_words = "No run was announced or named by a report yet."
    list_filter = ["status", "tenant"]
    search_fields = ["run_id__exact", "agent_id__exact"]
    search_help_text = "Exact run or agent"
    ordering = ["-id"]
    sortable_by = []

    @display(description="Run")  # type: ignore[untyped-decorator]
    def run(self, run: Run) -> str:
        return run.run_id

    @display(description="Agent")  # type: ignore[untyped-decorator]
    def agent(self, run: Run) -> str | SafeString:
        return run.agent_id or NOTHING

    @display(description="Incidents")  # type: ignore[untyped-decorator]
    def incidents(self, run: Run) -> Any:
        return count(run.incident_count)

    @display(description="Status")  # type: ignore[untyped-decorator]
    def state(self, run: Run) -> SafeString:
        return badge(run.status)

    @display(description="Cost")  # type: ignore[untyped-decorator]
    def cost(self, run: Run) -> Any:
        return money(run.total_cost_cents)

    @display(description="First named")  # type: ignore[untyped-decorator]
    def seen(self, run: Run) -> SafeString:
        return ago(run.created_at)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        run = self.get_object(request, object_id)
        if run is None:
            raise Http404("No such run.")
        if not self.has_view_permission(request, run):
            raise PermissionDenied
        return TemplateResponse(
            request,
            "admin/incidents/run/detail.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": f"Run {run.run_id}",
                "original": run,
                "run": run,
                **_steps(request, run),
                "failures": Failure.objects.filter(tenant_id=run.tenant_id, run_id=run.run_id)[
                    :STEPS
                ],
                "violations": Violation.objects.filter(tenant_id=run.tenant_id, run_id=run.run_id)[
                    :STEPS
                ],
                "incidents": _incidents(run),
            },
        )


def _incidents(run: Run) -> QuerySet[Incident]:
    links = IncidentRun.objects.filter(tenant_id=run.tenant_id, run_id=run.run_id)
    return Incident.objects.filter(pk__in=links.values("incident_id")).order_by("-id")[:INCIDENTS]


def _steps(request: HttpRequest, run: Run) -> dict[str, Any]:
    """A page of the steps, by default the one with the step that broke a policy."""
    trace = Trace.objects.filter(tenant_id=run.tenant_id, run_id=run.run_id).first()
    if trace is None:
        return {"trace": None, "steps": []}
    start = _start(request, trace)
    steps = list(Step.objects.filter(trace=trace, step_index__gte=start)[: STEPS + 1])
    earlier = (
        Step.objects.filter(trace=trace, step_index__lt=start)
        .order_by("-step_index")
        .values_list("step_index", flat=True)[:STEPS]
    )
    before = list(earlier) if start > 0 else []
    return {
        "trace": trace,
        "steps": steps[:STEPS],
        "next_from": steps[STEPS].step_index if len(steps) > STEPS else None,
        "previous_from": before[-1] if before else None,
    }


def _start(request: HttpRequest, trace: Trace) -> int:
    given = request.GET.get("from", "")
    if given.isdecimal() and len(given) < 16:
        return int(given)
    if trace.violation_step_index is None:
        return 0
    return max(trace.violation_step_index - STEPS // 2, 0)
