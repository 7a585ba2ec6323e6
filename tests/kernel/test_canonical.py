from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aforo.kernel.canonical import canonical_json, canonical_value, content_hash, given_fields


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True)
class Point:
    x: Decimal
    y: Decimal = Decimal(0)
    names: tuple[str, ...] = ()
    extra: dict[str, int] = field(default_factory=dict)


def test_equal_values_give_equal_bytes():
    assert canonical_json({"b": Decimal("1.50"), "a": (1, None, True)}) == b'{"a":[1,null,true],"b":"1.5"}'
    assert canonical_json(Decimal("1E+3")) == canonical_json(Decimal("1000.00")) == b'"1000"'
    kolkata = datetime(2026, 3, 1, 5, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert (
        canonical_json(kolkata)
        == canonical_json(datetime(2026, 3, 1, tzinfo=UTC))
        == b'"2026-03-01T00:00:00Z"'
    )
    assert canonical_json([date(2026, 3, 1), UUID(int=1), Colour.RED, {"b", "a"}, "é"]) == (
        '["2026-03-01","00000000-0000-0000-0000-000000000001","red",["a","b"],"é"]'.encode()
    )


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False)
    | st.text()
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.builds(lambda x: (x,), inner),
)


@given(VALUES)
def test_the_json_is_that_of_the_canonical_value(value):
    expected = json.dumps(canonical_value(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical_json(value) == expected.encode()


def test_a_field_at_its_default_is_left_out():
    # A field that is added later, with a default, changes no hash of what was sealed before.
    assert canonical_json(Point(Decimal(1))) == b'{"x":"1"}'
    assert canonical_json(Point(Decimal(0), Decimal("0.00"), (), {})) == b'{"x":"0"}'
    assert (
        canonical_json(Point(Decimal(1), names=("a",), extra={"k": 1}))
        == b'{"extra":{"k":1},"names":["a"],"x":"1"}'
    )
    assert given_fields(Point(Decimal(1), Decimal(2))) == {"x": Decimal(1), "y": Decimal(2)}


def test_a_value_without_one_spelling_is_refused():
    for value in (0.1, object(), b"bytes"):
        with pytest.raises(TypeError, match="no canonical form"):
            content_hash(value)
