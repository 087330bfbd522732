"""Every address that Firebreak answers."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path, re_path
from drf_spectacular.views import SpectacularSwaggerView

from config.api import problems
from config.api.document import DocumentView
from config.api.views import WhoAmIViewSet
from config.operations import health, metrics

urlpatterns = [
    path("healthz", health.live, name="healthz"),
    path("readyz", health.ready, name="readyz"),
    path("metrics", metrics.show, name="metrics"),
    path("admin/", admin.site.urls),
    path("api/schema/", DocumentView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="docs"),
    path("api/v1/whoami/", WhoAmIViewSet.as_view({"get": "retrieve"}), name="whoami"),
    path("api/v1/", include("incidents.urls")),
    path("api/v1/", include("lessons.urls")),
    path("api/v1/", include("exports.urls")),
    path("", include("incidents.otlp_urls")),
    # Last: what nothing above matched.
    re_path(r"^api/", problems.unknown_address),
]

handler400 = problems.bad_request
handler403 = problems.permission_denied
handler404 = problems.page_not_found
handler500 = problems.server_error
