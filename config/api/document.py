"""GET /api/schema/: the OpenAPI document, the same for everybody."""

from __future__ import annotations

import threading
from typing import Any, ClassVar

from drf_spectacular.views import SpectacularAPIView
from rest_framework.request import Request
from rest_framework.response import Response


class DocumentView(SpectacularAPIView):
    """Makes the document once in a process, one thread alone.

    Anybody may ask, and making it takes a second; nor can two threads make their first at once.
    """

    _turn: ClassVar = threading.Lock()
    _made: ClassVar[dict[str, Any] | None] = None

    def _get_schema_response(self, request: Request) -> Response:
        with DocumentView._turn:
            if DocumentView._made is None:
                generator = self.generator_class(urlconf=self.urlconf)
                DocumentView._made = generator.get_schema(  # type: ignore[no-untyped-call]
                    request=None, public=True
                )
        return Response(DocumentView._made)
