"""Pages of what people decide about: what it says, its buttons, and the forms behind them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse

from config.backstage import TenantModelAdmin, actor
from config.errors import FirebreakError
from incidents.admin.forms import ActForm


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing to do about a subject: ``verb`` is given the subject, who acts, and the form's
    arguments; ``can`` says whether the subject's state allows it, ``permission`` who may.
    """

    name: str
    title: str
    done: str
    verb: Callable[..., Any]
    can: Callable[[Any], bool]
    permission: str
    form: type[ActForm] = ActForm
    key: str = ""

    @property
    def asks(self) -> bool:
        """Whether there is anything to fill in."""
        return bool(self.form.base_fields)


class SubjectAdmin(TenantModelAdmin):
    """A list that counts nothing, and a page of one with the deeds that apply now.

    A subclass names its ``deeds`` and its ``page_template`` (which extends
    ``incidents/admin/subject.html``), and gives the page what else it shows.
    """

    deeds: tuple[Deed, ...] = ()
    page_template = "incidents/admin/subject.html"
    noun = ""
    ordering = ["-id"]
    sortable_by: list[str] = []

    def page_context(self, request: HttpRequest, subject: Any) -> dict[str, Any]:
        """What the page shows besides the subject itself."""
        return {}

    def initial(self, deed: Deed, subject: Any) -> dict[str, Any]:
        """What a deed's form is filled in with at first."""
        return {}

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[URLPattern]:
        return [
            path(
                "<uuid:object_id>/act/<slug:name>/",
                self.admin_site.admin_view(self.deed_view),
                name=f"{self.opts.app_label}_{self.opts.model_name}_act",
            ),
            *super().get_urls(),
        ]

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        subject = self._subject(request, object_id)
        return TemplateResponse(
            request,
            self.page_template,
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": str(subject)[:120],
                "noun": self.noun,
                "original": subject,
                "subject": subject,
                "deeds": [
                    {"deed": deed, "href": self._address(subject, deed.name)}
                    for deed in self.deeds
                    if deed.can(subject) and request.user.has_perm(deed.permission)
                ],
                **self.page_context(request, subject),
                **(extra_context or {}),
            },
        )

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        return HttpResponseRedirect(self._address(self._subject(request, object_id)))

    def deed_view(self, request: HttpRequest, object_id: UUID, name: str) -> HttpResponse:
        """One deed: asks what it needs to know, then does it."""
        deed = next((one for one in self.deeds if one.name == name), None)
        if deed is None:
            raise Http404("No such act.")
        subject = self._subject(request, object_id)
        if not request.user.has_perm(deed.permission):
            raise PermissionDenied
        back = self._address(subject)
        submitted = request.method == "POST" and ("confirm" in request.POST or not deed.asks)
        form = deed.form(
            request.POST if submitted else None,
            initial=None if submitted else self.initial(deed, subject),
        )
        if submitted and form.is_valid():
            try:
                deed.verb(subject, actor(request), **form.arguments())
            except FirebreakError as error:
                messages.error(request, f"{deed.title}: {error.detail}")
            else:
                messages.success(request, f"{deed.done}.")
            return HttpResponseRedirect(back)
        return TemplateResponse(
            request,
            "incidents/admin/deed.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": deed.title,
                "deed": deed,
                "form": form,
                "subject": subject,
                "back": back,
            },
            status=400 if form.errors else 200,
        )

    def _subject(self, request: HttpRequest, object_id: Any) -> Any:
        subject = self.get_object(request, str(object_id))
        if subject is None:
            raise Http404(f"No such {self.opts.verbose_name}.")
        if not self.has_view_permission(request, subject):
            raise PermissionDenied
        return subject

    def _address(self, subject: Any, deed: str | None = None) -> str:
        screen = f"admin:{self.opts.app_label}_{self.opts.model_name}"
        if deed is None:
            return reverse(f"{screen}_change", args=[subject.pk])
        return reverse(f"{screen}_act", args=[subject.pk, deed])
