"""The tenancy app: who the customers are, and the keys they call with."""

from django.apps import AppConfig


class TenancyConfig(AppConfig):
    name = "config.tenancy"
    label = "tenancy"
    verbose_name = "Tenants and keys"
