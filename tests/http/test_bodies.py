import hashlib
import io
from decimal import Decimal

import pytest
from django.test import RequestFactory
from rest_framework.request import Request

from aforo.http.bodies import DOCUMENT_BYTES_MAX, ExactJSONParser, body_read
from aforo.kernel.errors import Problem


def posted(content: bytes, **meta):
    return RequestFactory().post("/", content, content_type="application/json", **meta)


def chunked(content: bytes):
    """As a server hands over a body that came in chunks: no length, and a stream that ends itself."""
    request = RequestFactory().post("/", b"", content_type="application/json")
    request.META.pop("CONTENT_LENGTH", None)
    request.META.update({"wsgi.input": io.BytesIO(content), "wsgi.input_terminated": True})
    return request


def test_a_body_is_read_whole_with_its_hash():
    body = body_read(posted(b"abc").META, bytes_max=3)

    assert body.content == b"abc"
    assert body.is_whole
    assert body.sha256 == hashlib.sha256(b"abc").hexdigest()


def test_a_body_without_a_length_is_read_too():
    assert body_read(chunked(b"abc").META, bytes_max=10).content == b"abc"


def test_a_longer_body_is_cut_and_still_measured():
    content = bytes(range(256)) * 4096  # 1 MiB

    body = body_read(posted(content).META, bytes_max=300_000)

    assert body.content == content[:300_000]
    assert body.length == 1_048_576
    assert body.sha256 == hashlib.sha256(content).hexdigest()
    assert not body.is_whole


def test_reading_on_ends_somewhere():
    # 4 x 100,000 bytes, and the chunk of 262,144 that passes them.
    assert body_read(chunked(b"x" * 5_000_000).META, bytes_max=100_000).length == 524_288


def test_a_length_that_is_too_great_is_a_connection_that_ended():
    request = chunked(b"abc")
    request.META["CONTENT_LENGTH"] = "10"

    with pytest.raises(Problem) as caught:
        body_read(request.META, bytes_max=100)

    assert caught.value.code == "body_unreadable"
    assert caught.value.detail == "The body ended after 3 of 10 bytes."


@pytest.mark.parametrize("length", ["", "x", "-1"])
def test_a_length_that_is_none_does_not_matter(length):
    request = chunked(b"abc")
    request.META["CONTENT_LENGTH"] = length

    assert body_read(request.META, bytes_max=100).content == b"abc"


def parsed(content: bytes):
    return Request(posted(content), parsers=[ExactJSONParser()]).data


def test_numbers_are_read_exactly():
    # As a float this would be 0.1000000000000000055.
    assert parsed(b'{"price": 0.1000000000000000000001}') == {"price": Decimal("0.1000000000000000000001")}


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b'{"a": NaN}',
        b'{"a": 1e99999999999999999999}',
        b"[" * 100_000,
        b"[" * 900 + b"]" * 900,
        b"\xff",
        b"1" * 5000,
        b'["\\u0000"]',
        b'{"\\ud800": 1}',
    ],
)
def test_what_is_no_json_is_a_problem(content):
    with pytest.raises(Problem) as caught:
        parsed(content)

    assert caught.value.code == "body_unreadable"


def test_a_document_has_a_bound():
    with pytest.raises(Problem) as caught:
        parsed(b'"' + b"x" * DOCUMENT_BYTES_MAX + b'"')

    assert caught.value.code == "body_too_large"
