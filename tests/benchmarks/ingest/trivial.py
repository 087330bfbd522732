"""The least that a POST can cost in Django REST framework: parse, answer 201."""

from __future__ import annotations

from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="benchmark",
    ROOT_URLCONF=__name__,
    REST_FRAMEWORK={
        "DEFAULT_AUTHENTICATION_CLASSES": [],
        "DEFAULT_PERMISSION_CLASSES": [],
        "UNAUTHENTICATED_USER": None,
        "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
        "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    },
)

import django  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

django.setup()

from django.urls import path  # noqa: E402
from rest_framework.request import Request  # noqa: E402
from rest_framework.response import Response  # noqa: E402
from rest_framework.views import APIView  # noqa: E402


class Events(APIView):
    def post(self, request: Request) -> Response:
        return Response({"call_id": request.data["call_id"]}, status=201)

    def get(self, request: Request) -> Response:
        return Response({})


urlpatterns = [path("", Events.as_view())]
application = get_wsgi_application()
