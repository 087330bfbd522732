"""The lessons app: what went wrong becomes a lesson, a lesson a proposal, a proposal a rule."""

from django.apps import AppConfig


class LessonsConfig(AppConfig):
    name = "lessons"
    verbose_name = "Lessons"
