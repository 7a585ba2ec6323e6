"""Meters: numbers, filters, values and dimensions of an event."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metering.aggregation import Aggregation
from metering.event import UsageEvent
from metering.meters import (
    Conversion,
    Filter,
    Meter,
    NotANumber,
    Operator,
    dimensions_of,
    feeds,
    number_of,
    sample_of,
    text_of,
    value_of,
)

D = Decimal


def event(metric: str = "api.call", quantity: str = "1", **properties: Any) -> UsageEvent:
    return UsageEvent(
        idempotency_key="k1",
        tenant_id=1,
        customer_id="cust_abc",
        metric=metric,
        quantity=D(quantity),
        timestamp=datetime(2026, 3, 1, tzinfo=UTC),
        source="rest",
        properties=properties,
        is_timestamp_given=True,
        fingerprint=0,
        identity=b"",
    )


def meter(**changes: Any) -> Meter:
    fields: dict[str, Any] = {"id": 1, "key": "calls", "event_name": "api.call"}
    return Meter(**{**fields, "aggregation": Aggregation.SUM, **changes})


@pytest.mark.parametrize(
    ("written", "number"),
    [
        (5, "5"),
        ("5", "5"),
        ("-0.50", "-0.50"),
        ("1e3", "1000"),
        ("1.5E+2", "150"),
        (D("1E+3"), "1000"),
        (-0, "0"),
        ("-0.00", "0"),
        ("0e400", "0"),
        ("007", "7"),
        ("999999999999999999", "999999999999999999"),
        ("123456789012345678.1234567890", "123456789012345678.1234567890"),
        ("0.0000000000000000000000000001", "1E-28"),
        ("1.00000000000000000000000000000000", "1.000000000000000000000000000"),
    ],
)
def test_numbers_are_kept_exactly(written: Any, number: str) -> None:
    assert number_of(written) == D(number)
    assert str(number_of(written)) == number


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("12345678901234567890123456789", "18 digits before the point"),
        ("1.2345678901234567890123456789", "28 digits"),
        ("0.00000000000000000000000000001", "28 after the point"),
        ("1e400", "18 digits before the point"),
        (D("1E+400"), "18 digits before the point"),
        (10**18, "18 digits before the point"),
        (-(10**4000), "18 digits before the point"),
        ("1e99999999999999999999", "18 digits|finite"),
        ("1e-99999999999999999999", "28 digits|finite"),
        (D("NaN"), "finite"),
        (D("sNaN"), "finite"),
        (D("Infinity"), "finite"),
        ("NaN", "no decimal number"),
        ("Infinity", "no decimal number"),
        ("1_000", "no decimal number"),
        ("１", "no decimal number"),
        (" 1", "no decimal number"),
        ("1\n", "no decimal number"),
        ("", "no decimal number"),
        ("0x10", "no decimal number"),
        ("1,5", "no decimal number"),
        (True, "true or false"),
        (None, "null"),
        ([], "a list"),
        ({}, "an object"),
    ],
)
def test_what_is_no_number_says_why(written: Any, sentence: str) -> None:
    with pytest.raises(NotANumber, match=sentence):
        number_of(written)


@given(st.decimals(allow_nan=True, allow_infinity=True) | st.text() | st.integers() | st.booleans())
def test_a_number_is_exact_and_within_its_limits_or_refused(written: Any) -> None:
    try:
        number = number_of(written)
    except NotANumber:
        return
    assert number == D(written)
    digits, exponent = number.as_tuple().digits, number.as_tuple().exponent
    assert isinstance(exponent, int)
    assert len(digits) <= 28
    assert -28 <= exponent <= 0
    assert number.adjusted() < 18


def test_values_of_one_meaning_have_one_text() -> None:
    assert {text_of(1), text_of(D("1.0")), text_of("1")} == {"1"}
    assert text_of(True) == "true"
    assert text_of({"b": [D("1.50")], "a": None}) == '{"a":null,"b":["1.5"]}'


@pytest.mark.parametrize(
    ("operator", "value", "found", "holds"),
    [
        ("EQUALS", "gpt-4o", "gpt-4o", True),
        ("EQUALS", "gpt-4o", "gpt-4", False),
        ("EQUALS", "200", 200, True),
        ("EQUALS", 1, D("1.0"), True),
        ("EQUALS", 1, "1.0", True),
        ("EQUALS", "7", "007", False),
        ("EQUALS", "true", True, True),
        ("EQUALS", 1, True, False),
        ("EQUALS", "", None, False),
        ("NOT_EQUALS", "a", "b", True),
        ("NOT_EQUALS", "a", "a", False),
        ("NOT_EQUALS", "a", None, True),
        ("GREATER_THAN", "9", 10, True),
        ("GREATER_THAN", "10", "9", False),
        ("GREATER_THAN", "10", 10, False),
        ("GREATER_THAN", "a", "b", False),
        ("GREATER_THAN", 0, None, False),
        ("LESS_THAN", 10, "9.99", True),
        ("LESS_THAN", 10, 10, False),
        ("LESS_THAN", 10, None, False),
        ("CONTAINS", "search", "/v1/search", True),
        ("CONTAINS", "users", "/v1/search", False),
        ("CONTAINS", "b", ["a", "b"], True),
        ("CONTAINS", "b", ["ab"], False),
        ("CONTAINS", "b", None, False),
        ("NOT_CONTAINS", "b", ["a"], True),
        ("NOT_CONTAINS", "v1", "/v1", False),
        ("NOT_CONTAINS", "v1", None, True),
        ("IN", ("a", "b"), "b", True),
        ("IN", (200, 201), "200", True),
        ("IN", (), "b", False),
        ("IN", ("a",), None, False),
        ("NOT_IN", ("a", "b"), "c", True),
        ("NOT_IN", ("a", "b"), "b", False),
        ("NOT_IN", ("a",), None, True),
    ],
)
def test_filters(operator: str, value: Any, found: Any, holds: bool) -> None:
    condition = Filter("p", Operator(operator), value)
    assert condition.holds(event(p=found)) is holds
    if found is None:
        assert condition.holds(event()) is holds


def test_a_filter_on_quantity_reads_the_event_itself() -> None:
    assert Filter("quantity", Operator.GREATER_THAN, 5).holds(event(quantity="6"))


def test_a_meter_is_fed_by_its_metric_and_all_of_its_filters() -> None:
    both = meter(filters=(Filter("a", Operator.EQUALS, 1), Filter("b", Operator.EQUALS, 2)))
    assert feeds(meter(), event())
    assert not feeds(meter(), event("llm.tokens"))
    assert feeds(both, event(a=1, b=2))
    assert not feeds(both, event(a=1, b=3))


def test_the_value_is_the_quantity_or_a_property_that_is_a_number() -> None:
    assert value_of(meter(), event(quantity="2.5")) == D("2.5")
    by_property = meter(value_property="tokens")
    assert value_of(by_property, event(tokens="1000")) == 1000
    assert value_of(by_property, event(tokens=D("0.1"))) == D("0.1")
    for no_number in ("many", True, None, [], "1e400"):
        assert value_of(by_property, event(tokens=no_number)) is None
    assert value_of(by_property, event()) is None


def test_a_unique_meter_counts_texts() -> None:
    unique = meter(aggregation=Aggregation.UNIQUE, value_property="user")
    assert sample_of(unique, event(user="u1")).text == "u1"
    assert sample_of(unique, event()).text is None


def test_dimensions_keep_the_meters_order() -> None:
    grouped = meter(group_by=("region", "model"))
    assert dimensions_of(grouped, event(model="gpt-4o")) == (("region", ""), ("model", "gpt-4o"))


@pytest.mark.parametrize(
    ("conversion", "quantity", "expected"),
    [
        (Conversion("divide", D(1000)), "1500", "1.5"),
        (Conversion("divide", D(1000), "up", 0), "1001", "2"),
        (Conversion("divide", D(1000), "down", 0), "1999", "1"),
        (Conversion("divide", D(3), "half_up", 2), "1", "0.33"),
        (Conversion("multiply", D("0.5"), "half_up", 0), "5", "3"),
        (Conversion("multiply", D(1), "up", -2), "101", "200"),
    ],
)
def test_conversions(conversion: Conversion, quantity: str, expected: str) -> None:
    assert conversion.of(D(quantity)) == D(expected)
