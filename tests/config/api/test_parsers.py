from __future__ import annotations

import gzip
import io
import os
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import RequestFactory

from config.api import parsers
from config.errors import Invalid, TooLarge, UnsupportedMediaType


def request(body: bytes, **environ: Any) -> HttpRequest:
    return RequestFactory().post("/", body, content_type="application/json", **environ)


def chunked(body: bytes, *, terminated: bool = True) -> HttpRequest:
    made = request(
        b"",
        HTTP_TRANSFER_ENCODING="chunked",
        **{"wsgi.input": io.BytesIO(body), "wsgi.input_terminated": terminated},
    )
    made.META.pop("CONTENT_LENGTH", None)
    made.META["wsgi.input"] = io.BytesIO(body)
    return made


def test_read_body_plain() -> None:
    assert parsers.read_body(request(b'{"a": 1}')) == b'{"a": 1}'


def test_read_body_twice() -> None:
    made = request(gzip.compress(b"{}"), HTTP_CONTENT_ENCODING="gzip")
    assert parsers.read_body(made) == parsers.read_body(made) == b"{}"


def test_read_body_beyond_the_limit_of_forms() -> None:
    body = b" " * 3_000_000 + b"{}"
    assert parsers.read_body(request(body)) == body


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP "])
def test_read_body_gzipped(encoding: str) -> None:
    made = request(gzip.compress(b"[1]") + gzip.compress(b"[2]"), HTTP_CONTENT_ENCODING=encoding)
    assert parsers.read_body(made) == b"[1][2]"


@pytest.mark.parametrize("cut", [0, 1, 9, 15, -1])
def test_read_body_truncated_gzip(cut: int) -> None:
    made = request(gzip.compress(os.urandom(50))[:cut], HTTP_CONTENT_ENCODING="gzip")
    with pytest.raises(Invalid, match="truncated"):
        parsers.read_body(made)


def test_read_body_truncated_second_member() -> None:
    body = gzip.compress(b"[1]") + gzip.compress(b"[2]")[:-3]
    with pytest.raises(Invalid, match="truncated"):
        parsers.read_body(request(body, HTTP_CONTENT_ENCODING="gzip"))


def corrupt(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


@pytest.mark.parametrize(
    "body",
    [b"not gzip at all", corrupt(gzip.compress(b"{}"), -5), gzip.compress(b"{}") + b"tail"],
    ids=["no gzip", "checksum", "trailing bytes"],
)
def test_read_body_corrupt_gzip(body: bytes) -> None:
    with pytest.raises(Invalid, match="corrupt"):
        parsers.read_body(request(body, HTTP_CONTENT_ENCODING="gzip"))


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip"])
def test_read_body_unknown_encoding(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType):
        parsers.read_body(request(b"{}", HTTP_CONTENT_ENCODING=encoding))


def test_read_body_at_the_limit() -> None:
    assert len(parsers.read_body(request(b"x" * 100), 100)) == 100
    zipped = gzip.compress(b"x" * 100)
    made = request(zipped, HTTP_CONTENT_ENCODING="gzip")
    assert len(parsers.read_body(made, 100)) == 100


def test_read_body_over_the_limit() -> None:
    with pytest.raises(TooLarge):
        parsers.read_body(request(b"x" * 101), 100)


def test_read_body_inflates_over_the_limit() -> None:
    bomb = gzip.compress(b"x" * 10_000_000)
    assert len(bomb) < 20_000
    with pytest.raises(TooLarge, match="inflated"):
        parsers.read_body(request(bomb, HTTP_CONTENT_ENCODING="gzip"), 20_000)


def test_read_body_inflates_over_the_limit_in_members() -> None:
    body = gzip.compress(b"x" * 60) * 2
    with pytest.raises(TooLarge):
        parsers.read_body(request(body, HTTP_CONTENT_ENCODING="gzip"), 119)


def test_read_body_chunked() -> None:
    assert parsers.read_body(chunked(b'{"a": 1}')) == b'{"a": 1}'


def test_read_body_chunked_over_the_limit() -> None:
    with pytest.raises(TooLarge):
        parsers.read_body(chunked(b"x" * 101), 100)


def test_read_body_chunked_where_the_server_does_not_end_the_stream() -> None:
    assert parsers.read_body(chunked(b"{}", terminated=False)) == b""


@pytest.mark.parametrize("members", [1, 2, 10_000])
def test_gunzip_members(members: int) -> None:
    # A sender that compresses line by line makes one member of each.
    assert parsers.gunzip(gzip.compress(b"a") * members, limit=10_000) == b"a" * members


def test_read_body_shorter_than_its_length() -> None:
    made = request(b'{"a": 1}')
    made.META["CONTENT_LENGTH"] = "9"
    with pytest.raises(Invalid, match="could not be read"):
        parsers.read_body(made)


def test_read_body_of_a_client_that_went_away() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError("connection reset")

    made = request(b"{}")
    made._stream = Broken()  # type: ignore[attr-defined]
    with pytest.raises(Invalid, match="could not be read"):
        parsers.read_body(made)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json; charset=utf-8", 'application/json;charset="UTF8"'],
)
def test_check_charset_utf8(content_type: str) -> None:
    parsers.check_charset(content_type)


def test_check_charset_other() -> None:
    with pytest.raises(UnsupportedMediaType):
        parsers.check_charset("application/json; charset=latin-1")
