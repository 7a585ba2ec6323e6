"""Strict JSON: exact numbers, no key twice, bounded depth."""

from __future__ import annotations

import json
import threading
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.errors import Problem
from metering.strict_json import DEPTH_MAX, check_shape, read_json


def code_of(body: bytes) -> str | None:
    """The code with which a body is refused, or None."""
    try:
        check_shape(body)
        read_json(body)
    except Problem as problem:
        return problem.code
    return None


@pytest.mark.parametrize(
    ("written", "value"),
    [
        (b"0.1", Decimal("0.1")),
        (b"1.50", Decimal("1.5")),
        (b"1.0", 1),
        (b"1e3", 1000),
        (b"-0.0", 0),
        (b"1.5e-1", Decimal("0.15")),
        (b"9223372036854775808", 2**63),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"0.1234567890123456789012345678", Decimal("0.1234567890123456789012345678")),
        # What no store keeps stays the text it was sent as.
        (b"1e5000", "1e5000"),
        (b"1e99999999999999999999", "1e99999999999999999999"),
        (b"0." + b"1" * 2000, "0." + "1" * 2000),
    ],
)
def test_numbers_are_read_exactly(written: bytes, value: Any) -> None:
    read = read_json(written)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nope",
        b"NaN",
        b"-Infinity",
        b'{"a": Infinity}',
        b"[1,]",
        b'{"a":1} x',
        b"01",
        b'"a\x00b"',
        b'{"a": 1',
        b"\xff",
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',  # a lone surrogate written as bytes
        '{"a": 1}'.encode("utf-16"),
        b'{"a": 1, "a": 1}',
        b'{"a": {"b": 1, "c": 2, "b": 3}}',
        b"1" * 5000,
    ],
)
def test_what_is_no_json_or_ambiguous_is_refused(body: bytes) -> None:
    assert code_of(body) == "body_unreadable"


def test_the_refusal_says_what_and_where() -> None:
    with pytest.raises(Problem, match="line 2, column 6"):
        read_json(b'{\n"a": nope}')
    with pytest.raises(Problem, match="'a' comes twice"):
        read_json(b'{"a": 1, "a": 1}')


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth - 1) + b"[]" + b"}" * (depth - 1)


def test_32_levels_are_read_and_33_are_not() -> None:
    check_shape(nested(32))
    assert read_json(nested(32))
    assert code_of(b"[{}, {}, " + nested(31) + b"]") is None
    assert code_of(nested(33)) == "body_too_deep"
    assert code_of(b'[{"a": 1}, ' + nested(32) + b"]") == "body_too_deep"


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 1_000_000,
        b'{"a":' * 1_000_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'"\\\\' + b'"' + b"[" * 100_000,
        b"]" * 100 + b"[" * 100_000,
        b"[{" * 50_000 + b"]}" * 50_000,
    ],
)
def test_deep_bombs_end_in_a_refusal_on_a_small_stack_too(bomb: bytes) -> None:
    codes: list[str | None] = []
    before = threading.stack_size(256 * 1024)
    try:
        thread = threading.Thread(target=lambda: codes.append(code_of(bomb)))
        thread.start()
        thread.join()
    finally:
        threading.stack_size(before)
    assert codes == ["body_too_deep"]


def test_brackets_inside_texts_have_no_depth() -> None:
    for text in ("[" * 1000, '\\"[' * 1000, "\\\\" + "{" * 1000, '"' * 999 + "[" * 99):
        body = json.dumps([{"text": text}, "[" * 100]).encode()
        check_shape(body)
        assert read_json(body)[0]["text"] == text


def test_millions_of_objects_are_refused_before_memory_is_taken() -> None:
    body = b"[" + b"{}," * 1_000_000 + b"{}]"
    assert code_of(body) == "batch_too_large"


def test_a_million_values_are_read_and_one_more_is_not() -> None:
    check_shape(b"[" + b"1," * 1_000_000 + b"1]")
    assert code_of(b"[" + b"1," * 1_000_001 + b"1]") == "batch_too_large"
    # Commas in texts are none.
    assert code_of(b'["' + b"," * 2_000_000 + b'\\",' + b'"]') is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=30,
)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@given(value=json_values, extra=st.integers(0, 40), ascii_only=st.booleans())
def test_the_depth_is_told_exactly(value: Any, extra: int, ascii_only: bool) -> None:
    for _ in range(extra):
        value = [value, "]["]
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert code_of(body) == ("body_too_deep" if depth_of(value) > DEPTH_MAX else None)


@given(st.binary(max_size=200) | st.text(alphabet='[]{}"\\:,a1').map(str.encode))
def test_any_bytes_are_a_value_or_a_problem(body: bytes) -> None:
    assert code_of(body) in {None, "body_unreadable", "body_too_deep"}
