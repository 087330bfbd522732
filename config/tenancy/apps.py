"""The tenancy app: who the customers are, the keys they call with, and who looks after them."""

from typing import Any

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class TenancyConfig(AppConfig):
    name = "config.tenancy"
    label = "tenancy"
    verbose_name = "Tenants and keys"

    def ready(self) -> None:
        # An app's permissions exist only after it was migrated; Django makes them then too.
        post_migrate.connect(_keep_roles, dispatch_uid="firebreak.roles")


def _keep_roles(app_config: AppConfig, **options: Any) -> None:
    from config.tenancy.services import staff

    if options.get("using", "default") == "default":
        staff.keep_roles(app_config)
