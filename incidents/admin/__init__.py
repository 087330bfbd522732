"""The screens of incidents, registered with Django's admin."""

from incidents.admin import facts, incidents, rules, runs, targets, webhooks

__all__ = ["facts", "incidents", "rules", "runs", "targets", "webhooks"]
