"""Telling others of incidents: endpoints, and the deliveries that the outbox owes them.

New beside the original drivers. ``endpoints`` is what an administrator does, ``delivering`` what
housekeeping does; ``transport`` is the one place that opens a connection to an address that
somebody else chose, and ``signing`` says how what is sent is signed.
"""

from incidents.services.webhooks.delivering import deliver, forget, redeliver
from incidents.services.webhooks.endpoints import create, delete, rotate_secret, update

__all__ = ["create", "delete", "deliver", "forget", "redeliver", "rotate_secret", "update"]
