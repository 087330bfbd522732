"""The screens of incidents, registered with Django's admin."""

from incidents.admin import audit, facts, incidents, rules, runs, targets, webhooks

__all__ = ["audit", "facts", "incidents", "rules", "runs", "targets", "webhooks"]
