"""The lessons app: what went wrong becomes a lesson, a lesson a proposal, a proposal a rule."""

from django.apps import AppConfig


class LessonsConfig(AppConfig):
    name = "lessons"
    verbose_name = "Lessons"

    def ready(self) -> None:
        from config import housekeeping
        from incidents.services import retention
        from lessons.services import capture, lifecycle

        housekeeping.register("lessons captured", capture.capture)
        housekeeping.register("proposals drafted", capture.draft)
        housekeeping.register("deferred lessons reactivated", lifecycle.reactivate_expired)
        retention.before_retiring(lifecycle.let_go_of_incidents)
