"""Bundles in the admin: made from an incident's page, looked at, downloaded and reviewed."""

from __future__ import annotations

from typing import Any, ClassVar, Final, cast
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.decorators import display

from config.backstage import ReadOnlyModelAdmin, actor, tenants
from config.errors import FirebreakError
from exports.admin.forms import ExportForm, ReviewForm
from exports.models import Bundle
from exports.services import downloads, exporting, reviews
from incidents.admin.panels import Panel, add_panel
from incidents.models import Incident
from incidents.templatetags.firebreak import NOTHING, ago, badge

LISTED: Final = 10


@admin.register(Bundle)
class BundleAdmin(ReadOnlyModelAdmin):
    """Bundles as they were exported; only reviews are added to them."""

    ordering = ["-created_at", "-id"]
    sortable_by: ClassVar[list[str]] = []
    list_display = ["kind", "incident_link", "tenant", "created_by", "reviewed", "when"]
    list_display_links = ["kind"]
    list_filter = ["bundle_type", "tenant"]
    search_fields = ["id__exact", "incident_id__exact", "sha256__exact"]
    search_help_text = "Exact bundle id, incident id or SHA-256"
    empty_words = "Nothing was exported yet: a button on an incident's page does it."
    empty_value_display = NOTHING
    fields = [
        "kind",
        "files",
        "incident_link",
        "tenant",
        "created_at",
        "created_by",
        "reason",
        "sha256",
        "key",
        "conformance",
        "notice",
        "said",
    ]
    readonly_fields = [*fields, "only_said"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        may_review = self.has_review_permission(request)
        return self.fields if may_review else [*self.fields[:-1], "only_said"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        found: QuerySet[Any] = super().get_queryset(request)
        titles = Incident.objects.filter(pk=OuterRef("incident_id")).values("title")
        found = found.annotate(incident_title=Subquery(titles[:1]))
        return found.defer("document", "pdf").prefetch_related("reviews")

    def has_export_permission(self, request: HttpRequest) -> bool:
        """Whether the person may export; the tenant is checked with the incident."""
        return bool(request.user.has_perm("exports.add_bundle"))

    def has_review_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("exports.add_bundlereview"))

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        return [
            path(
                "export/<uuid:incident_id>/", view(self.export_view), name="exports_bundle_export"
            ),
            path(
                "<uuid:object_id>/download/<slug:form>/",
                view(self.download_view),
                name="exports_bundle_download",
            ),
            path("<uuid:object_id>/review/", view(self.review_view), name="exports_bundle_review"),
            *super().get_urls(),
        ]

    # --- what is shown

    @display(description="Kind")  # type: ignore[untyped-decorator]
    def kind(self, bundle: Bundle) -> str:
        return bundle.get_bundle_type_display()

    @display(description="Incident")  # type: ignore[untyped-decorator]
    def incident_link(self, bundle: Bundle) -> SafeString:
        return format_html(
            '<a class="fb-link" href="{}">{}</a>',
            reverse("admin:incidents_incident_change", args=[bundle.incident_id]),
            bundle.incident_title[:120],  # type: ignore[attr-defined]
        )

    @display(description="When")  # type: ignore[untyped-decorator]
    def when(self, bundle: Bundle) -> SafeString:
        return ago(bundle.created_at)

    @display(description="Review")  # type: ignore[untyped-decorator]
    def reviewed(self, bundle: Bundle) -> SafeString:
        latest = next(iter(bundle.reviews.all()), None)
        return badge(latest.state.replace("_", " ")) if latest else NOTHING

    @display(description="Files")  # type: ignore[untyped-decorator]
    def files(self, bundle: Bundle) -> SafeString:
        return format_html_join(
            " ",
            '<a class="fb-button" href="{}">Download {}</a>',
            (
                (reverse("admin:exports_bundle_download", args=[bundle.pk, form]), form.upper())
                for form in downloads.MEDIA_TYPES
            ),
        )

    @display(description="Reviews")  # type: ignore[untyped-decorator]
    def said(self, bundle: Bundle) -> SafeString:
        return format_html(
            '{} <p><a class="fb-button" href="{}">Review this bundle</a></p>',
            self.only_said(bundle),
            reverse("admin:exports_bundle_review", args=[bundle.pk]),
        )

    @display(description="Reviews")  # type: ignore[untyped-decorator]
    def only_said(self, bundle: Bundle) -> SafeString:
        rows = [
            (badge(row.state), row.created_by, ago(row.created_at), row.notes)
            for row in bundle.reviews.all()
        ]
        told = format_html_join(
            "", '<li>{} by {}, {}<p class="fb-prose" dir="auto">{}</p></li>', rows
        )
        return format_html('<ul class="fb-reviews">{}</ul>', told) if rows else NOTHING

    # --- what is done

    def download_view(self, request: HttpRequest, object_id: UUID, form: str) -> HttpResponse:
        wanted = next((known for known in downloads.MEDIA_TYPES if known == form), None)
        if wanted is None:
            raise Http404("No such file.")
        file = downloads.hand_over(
            bundle=self._bundle(request, object_id), form=wanted, by=actor(request)
        )
        return HttpResponse(
            file.content,
            content_type=file.media_type,
            headers={"Content-Disposition": f'attachment; filename="{file.name}"'},
        )

    def export_view(self, request: HttpRequest, incident_id: UUID) -> HttpResponse:
        """Asks what to export of an incident and why, and exports it."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        incident = Incident.objects.filter(pk=incident_id, tenant__in=tenants(request)).first()
        if incident is None:
            raise Http404("No such incident.")
        form = ExportForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                done = exporting.export(incident=incident, by=actor(request), **form.arguments())
            except FirebreakError as error:
                form.add_error(None, error.detail)
            else:
                if done.notice:
                    messages.warning(request, done.notice)
                messages.success(request, f"Exported: SHA-256 {done.bundle.sha256}.")
                return HttpResponseRedirect(_address(done.bundle.pk))
        return self._form(
            request,
            form,
            title="Export",
            lead="The facts as they stand now, signed. A bundle is kept as it is for ever.",
            verb="Export",
            subject=incident.title,
            back=reverse("admin:incidents_incident_change", args=[incident.pk]),
        )

    def review_view(self, request: HttpRequest, object_id: UUID) -> HttpResponse:
        """Appends what the person says of a bundle."""
        if not self.has_review_permission(request):
            raise PermissionDenied
        bundle = self._bundle(request, object_id)
        form = ReviewForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            reviews.add(
                bundle=bundle,
                state=form.cleaned_data["state"],
                notes=form.cleaned_data["notes"],
                by=actor(request),
            )
            messages.success(request, "The review was added.")
            return HttpResponseRedirect(_address(bundle.pk))
        return self._form(
            request,
            form,
            title="Review",
            lead="It stands beside the bundle with your name, and stays.",
            verb="Add the review",
            subject=str(bundle),
            back=_address(bundle.pk),
        )

    def _bundle(self, request: HttpRequest, key: UUID) -> Bundle:
        if not self.has_view_permission(request):
            raise PermissionDenied
        bundle: Bundle | None = self.get_queryset(request).filter(pk=key).first()
        if bundle is None:
            raise Http404("No such bundle.")
        return bundle

    def _form(self, request: HttpRequest, form: Any, **context: Any) -> HttpResponse:
        return TemplateResponse(
            request,
            "admin/exports/form.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "form": form,
                **context,
            },
            status=400 if form.errors else 200,
        )


def _address(key: UUID) -> str:
    return reverse("admin:exports_bundle_change", args=[key])


def _panel(request: HttpRequest, incident: Incident) -> dict[str, Any] | None:
    """What an incident's page says of its exports, to whoever may see them."""
    screen = cast(BundleAdmin, admin.site.get_model_admin(Bundle))
    if not screen.has_view_permission(request):
        return None
    found = (
        screen.get_queryset(request)
        .filter(tenant_id=incident.tenant_id, incident_id=incident.pk)
        .order_by("-created_at", "-id")
    )
    return {
        "bundles": found[:LISTED],
        "may_export": screen.has_export_permission(request),
        "forms": list(downloads.MEDIA_TYPES),
    }


add_panel(Panel("exports", "Exports", "exports/admin/panel.html", _panel))
