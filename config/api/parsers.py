"""Reading bodies: plain or gzipped, never more than the limit, JSON only by the strict rules."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import IO, Any, Final

from django.http import HttpRequest
from django.http.request import UnreadablePostError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from config.api import strictjson
from config.errors import Invalid, TooLarge, UnsupportedMediaType

MAX_BODY: Final = 16 * 1024 * 1024
# What is read of a refused request only so that its answer arrives.
MAX_DISCARDED: Final = 1024 * 1024
_TOO_LARGE: Final = "The body is over {} bytes{}."
_CUT: Final = "the body could not be read to its end"
_GZIP_MAGIC: Final = b"\x1f\x8b"
_CUT_GZIP: Final = "the gzip data is truncated"


def read_body(request: Request | HttpRequest, limit: int = MAX_BODY) -> bytes:
    """The body of a request, un-gzipped when ``Content-Encoding`` says so.

    It is read once and kept on the request, so that every caller gets the same bytes. TooLarge
    when what was sent, or what it inflates to, is over ``limit`` bytes; UnsupportedMediaType for
    an encoding other than gzip; Invalid when the gzip data is truncated or corrupt.
    """
    http: HttpRequest = getattr(request, "_request", request)
    kept: bytes | None = getattr(http, "_firebreak_body", None)
    if kept is None:
        kept = _decoded(_received(http, limit), http.META.get("HTTP_CONTENT_ENCODING", ""), limit)
        http._firebreak_body = kept  # type: ignore[attr-defined]
    return kept


def discard_rest(http: HttpRequest) -> None:
    """Reads what is left of a body that nobody wants, up to a limit.

    A server closes the connection of a request that it did not read to its end; a caller who is
    still sending then sees a broken connection instead of the answer.
    """
    length = http.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and 0 < int(length) <= MAX_DISCARDED:
        with suppress(UnreadablePostError, OSError):
            http.read()


def _received(http: HttpRequest, limit: int) -> bytes:
    try:
        length = int(http.META.get("CONTENT_LENGTH") or 0)
    except ValueError:
        length = 0
    if length > limit:
        raise TooLarge(_TOO_LARGE.format(limit, ""))
    try:
        if not length and _is_chunked(http):
            # Django reads nothing without a length; the server ends this stream by itself.
            data: bytes = http.META["wsgi.input"].read(limit + 1)
        else:
            # Not http.body, whose limit is a smaller one, meant for forms.
            data = http.read()
    except (UnreadablePostError, OSError):
        raise Invalid.field("", _CUT) from None
    if len(data) < length:
        # Who hangs up in mid-body sent less than they meant to: lines may be missing at the end.
        raise Invalid.field("", _CUT)
    if len(data) > limit:
        raise TooLarge(_TOO_LARGE.format(limit, ""))
    return data


def _is_chunked(http: HttpRequest) -> bool:
    coding = http.META.get("HTTP_TRANSFER_ENCODING", "")
    return "chunked" in coding.lower() and bool(http.META.get("wsgi.input_terminated"))


def _decoded(data: bytes, encoding: str, limit: int) -> bytes:
    encoding = encoding.strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip"):
        raise UnsupportedMediaType("The only Content-Encoding that is read is gzip.")
    return gunzip(data, limit=limit)


def gunzip(data: bytes, *, limit: int) -> bytes:
    """What gzip data (of any number of members) inflates to, never over ``limit`` bytes of it."""
    if len(data) < len(_GZIP_MAGIC) and _GZIP_MAGIC.startswith(data):
        raise Invalid.field("", _CUT_GZIP)
    try:
        with gzip.open(io.BytesIO(data)) as members:
            inflated = members.read(limit + 1)
    except EOFError:
        raise Invalid.field("", _CUT_GZIP) from None
    except (gzip.BadGzipFile, zlib.error):
        raise Invalid.field("", "the gzip data is corrupt") from None
    if len(inflated) > limit:
        raise TooLarge(_TOO_LARGE.format(limit, " when inflated"))
    return inflated


class ApiRequest(Request):
    """A request whose body is what :func:`read_body` makes of it, whoever asks for ``data``."""

    def _load_stream(self) -> None:
        body = read_body(self)
        # The framework takes None for a request without a body.
        self._stream = io.BytesIO(body) if body else None  # type: ignore[assignment]


class StrictJSONParser(BaseParser):
    """``application/json``, by the rules of :mod:`config.api.strictjson`."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        check_charset(media_type or "")
        return strictjson.loads(stream.read())


def check_charset(content_type: str) -> None:
    """UnsupportedMediaType when a Content-Type names a charset other than UTF-8."""
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip(" \t\"'").lower() not in (
            "utf-8",
            "utf8",
        ):
            raise UnsupportedMediaType("The only charset that is read is UTF-8.")


def media_type(request: Request | HttpRequest) -> str:
    """The media type of the body, in lower case and without parameters; "" when not said."""
    content_type: str = request.META.get("CONTENT_TYPE", "")
    return content_type.partition(";")[0].strip().lower()
