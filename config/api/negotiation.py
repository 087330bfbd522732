"""Content negotiation where there is one form of answer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from rest_framework.exceptions import NotAcceptable
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from config.api.parsers import media_type

_ACCEPTED: Final = frozenset(
    {"", "*/*", "application/*", "application/json", "application/problem+json"}
)


class JSONNegotiation(BaseContentNegotiation):
    """Answers JSON to whoever takes it, and reads a body by its exact media type."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        wanted = media_type(request)
        return next((parser for parser in parsers if parser.media_type == wanted), None)

    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        accept = request.META.get("HTTP_ACCEPT", "")
        if accept not in _ACCEPTED and not any(
            part.partition(";")[0].strip().lower() in _ACCEPTED for part in accept.split(",")
        ):
            raise NotAcceptable("Answers are application/json.")
        renderer = next(iter(renderers))
        return renderer, renderer.media_type
