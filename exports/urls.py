"""The addresses of exports under /api/v1/."""

from __future__ import annotations

from django.urls import path

from exports.views import DownloadViewSet, ExportViewSet

urlpatterns = [
    path("exports/", ExportViewSet.as_view({"get": "list", "post": "create"}), name="exports"),
    path("exports/keys/", ExportViewSet.as_view({"get": "keys"}), name="export-keys"),
    path("exports/verify/", ExportViewSet.as_view({"post": "verify"}), name="export-verify"),
    path("exports/<pk>/", ExportViewSet.as_view({"get": "retrieve"}), name="export"),
    path(
        "exports/<pk>/download/",
        DownloadViewSet.as_view({"get": "download"}),
        name="export-download",
    ),
    path(
        "exports/<pk>/reviews/",
        ExportViewSet.as_view({"get": "list_reviews", "post": "review"}),
        name="export-reviews",
    ),
]
