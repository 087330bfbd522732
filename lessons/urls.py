"""The addresses of lessons and proposals under /api/v1/."""

from __future__ import annotations

from django.urls import path

from lessons.views.lessons import LessonViewSet
from lessons.views.proposals import ProposalViewSet

urlpatterns = [
    path("lessons/", LessonViewSet.as_view({"get": "list", "post": "create"}), name="lessons"),
    path("lessons/stats/", LessonViewSet.as_view({"get": "stats"}), name="lessons-stats"),
    path(
        "lessons/near-threshold/",
        LessonViewSet.as_view({"post": "near_threshold"}),
        name="lessons-near-threshold",
    ),
    path(
        "lessons/critical-success/",
        LessonViewSet.as_view({"post": "critical_success"}),
        name="lessons-critical-success",
    ),
    path("lessons/<pk>/", LessonViewSet.as_view({"get": "retrieve"}), name="lesson"),
    *(
        path(
            f"lessons/<pk>/{action}/",
            LessonViewSet.as_view({"post": action}),
            name=f"lesson-{action}",
        )
        for action in ("defer", "dismiss", "convert", "reactivate")
    ),
    path("proposals/", ProposalViewSet.as_view({"get": "list"}), name="proposals"),
    path("proposals/<pk>/", ProposalViewSet.as_view({"get": "retrieve"}), name="proposal"),
    *(
        path(
            f"proposals/<pk>/{action}/",
            ProposalViewSet.as_view({"post": action}),
            name=f"proposal-{action}",
        )
        for action in ("approve", "reject", "backtest")
    ),
]
