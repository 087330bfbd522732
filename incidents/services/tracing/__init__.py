"""Traces that other systems export, as runs: new beside the original drivers.

A trace is a run, its id in hex the run's id, and each span that has ended a step. A span in
trouble is an alert of that run, and a root in trouble a failure of the run; the root ends the
run. Spans of one trace come in any order, in pieces, and more than once: a span takes the next
free index when it first arrives, and what is known already changes nothing.

``pieces`` says what a span becomes, ``storing`` writes it.
"""

from __future__ import annotations

from typing import Final

from config import clock
from config.actors import Actor
from config.tenancy.models import Tenant
from incidents.senders import genai, otlp
from incidents.services import senders
from incidents.services.tracing import storing
from incidents.services.tracing.pieces import piece_of

_WITHOUT_PROMPTS: Final = otlp.Wanted(genai.NAMES)
_WITH_PROMPTS: Final = otlp.Wanted(genai.NAMES, genai.CONTENT, events=True)


def ingest(*, tenant: Tenant, by: Actor, data: bytes, encoding: otlp.Encoding) -> otlp.Decoded:
    """Stores the spans of an OTLP request, all in one transaction; what was rejected of them.

    Invalid or TooLarge, and nothing is stored, when it is no such request.
    """
    wishes = senders.settings_of(tenant=tenant)
    decoded = otlp.decode(
        data,
        encoding=encoding,
        wanted=_WITH_PROMPTS if wishes.keep_prompts else _WITHOUT_PROMPTS,
        at=clock.now(),
    )
    if decoded.spans:
        redactor = senders.redactor(wishes)
        pieces = [
            piece_of(span, redactor, keep_prompts=wishes.keep_prompts) for span in decoded.spans
        ]
        for _ in range(storing.store(tenant=tenant, by=by, pieces=pieces)):
            decoded.reject(storing.TOO_MANY_STEPS)
    return decoded
