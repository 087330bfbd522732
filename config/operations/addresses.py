"""Where a request comes from."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest

MAX_LENGTH = 100


def client_address(request: HttpRequest) -> str:
    """The address that the first proxy of ours saw, or else who is connected to us.

    ``PROXIES`` says how many are ours: what stands before them in X-Forwarded-For is the caller's
    own word.
    """
    proxies = int(settings.PROXIES)
    forwarded: str = request.META.get("HTTP_X_FORWARDED_FOR", "")
    hops = [hop.strip() for hop in forwarded.split(",")]
    if proxies and len(hops) >= proxies and hops[-proxies]:
        return hops[-proxies][:MAX_LENGTH]
    return str(request.META.get("REMOTE_ADDR", ""))
