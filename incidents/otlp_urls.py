"""The addresses that exporters of traces have built in; they are not under /api/v1/."""

from __future__ import annotations

from django.urls import path

from incidents.views.otlp import OtlpViewSet

urlpatterns = [
    path("v1/traces", OtlpViewSet.as_view({"post": "export"}), name="otlp-traces"),
    path(
        "api/public/otel/v1/traces",
        OtlpViewSet.as_view({"post": "export_langfuse"}),
        name="langfuse-traces",
    ),
]
