from django.apps import AppConfig


class OperationsConfig(AppConfig):
    name = "config.operations"
    label = "operations"
    verbose_name = "Operations"

    def ready(self) -> None:
        from config.operations import audit

        audit.watch_logins()
