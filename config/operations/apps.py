from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "config.operations"
    label = "operations"
    verbose_name = "Operations"

    def ready(self) -> None:
        from config import housekeeping
        from config.operations import audit, logins

        audit.watch_logins()
        housekeeping.register("login counts purged", logins.purge)
