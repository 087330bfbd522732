"""The exports app: bundles about incidents that can be checked without Firebreak."""

from django.apps import AppConfig


class ExportsConfig(AppConfig):
    name = "exports"
    verbose_name = "Exports"

    def ready(self) -> None:
        from config import housekeeping
        from exports.services import retention

        housekeeping.register("bundles retired", retention.retire_bundles)
