"""Schema: every alias, every default, every missing field, every wrong type."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from aforo.kernel.errors import Problem
from metering.event import REQUIRED_FIELDS, Accepted, Refused
from metering.intake.schema import ALIASES

from ..builders import FULL, RECEIVED_AT, accepted, event, fields_in_error, refused, verdicts

QUICK_START = {"event": "api.call", "endpoint": "/v1/search", "customer_id": "cust_abc"}

READ_AS = {
    "idempotency_key": "req_7f2a",
    "customer_id": "cust_abc",
    "metric": "api.call",
    "quantity": Decimal(1),
    "source": "sdk-python",
}


@pytest.mark.promise("P10")
def test_the_quick_start_call_is_one_billable_event() -> None:
    one = accepted(QUICK_START, content_type="application/x-www-form-urlencoded", tenant_header="acme_corp")
    assert (one.metric, one.customer_id, one.quantity) == ("api.call", "cust_abc", 1)
    assert one.properties == {"endpoint": "/v1/search"}
    assert (one.tenant_id, one.source, one.timestamp) == (7, "rest", RECEIVED_AT)
    assert not one.is_timestamp_given
    assert one.idempotency_key == "gen_00000000000000ff"


@pytest.mark.parametrize(
    ("field", "alias"), [(field, alias) for field, names in ALIASES.items() for alias in names]
)
def test_every_alias_is_its_field(field: str, alias: str) -> None:
    if field == "properties":
        assert accepted({**FULL, alias: {"model": "gpt-4o"}}).properties == {"model": "gpt-4o"}
        return
    raw = {**event(**{field: ...}), alias: FULL[field]}
    assert accepted(raw, is_strict=True) == accepted(FULL, is_strict=True)


def test_tenant_id_is_the_customer_for_the_meter_door_only() -> None:
    call = {"tenantId": "cust_abc", "metricKey": "api.call"}
    assert accepted(call, door="meter").customer_id == "cust_abc"
    assert refused(call).refusal.code == "tenant_mismatch"
    assert accepted({**QUICK_START, "tenantId": "acme_corp"}).customer_id == "cust_abc"


@pytest.mark.parametrize("field", [name for name in FULL if name != "tenant_id"])
def test_the_first_name_counts_and_the_others_become_properties(field: str) -> None:
    alias = ALIASES[field][-1]
    if alias == field:
        return
    for raw in ({**FULL, alias: "x"}, {alias: "x", **FULL}):
        one = accepted(raw)
        assert one.properties == {alias: "x"}
        assert one.idempotency_key == "req_7f2a"


def test_unknown_keys_join_the_properties() -> None:
    one = accepted(event(endpoint="/v1/search", properties={"model": "gpt-4o", "endpoint": "/v1/search"}))
    assert one.properties == {"endpoint": "/v1/search", "model": "gpt-4o"}
    assert accepted(event(metadata={"a": 1}, properties={"b": 2})).properties == {
        "b": 2,
        "metadata": {"a": 1},
    }


def test_a_property_given_twice_with_different_values_is_refused() -> None:
    refusal = refused(event(model="a", properties={"model": "b"}))
    assert fields_in_error(refusal) == {"model"}


def test_null_is_the_same_as_not_sent() -> None:
    raw = {**QUICK_START, "quantity": None, "timestamp": None, "properties": None, "id": None, "source": None}
    assert accepted(raw) == accepted(QUICK_START)
    assert accepted(event(metric=None, event="api.call")).metric == "api.call"


# Strict mode -----------------------------------------------------------------------------------------------


@pytest.mark.promise("P70", "P99")
@pytest.mark.parametrize("field", REQUIRED_FIELDS)
def test_strict_mode_refuses_each_missing_field(field: str) -> None:
    assert accepted(FULL, is_strict=True)
    refusal = refused(event(**{field: ...}), is_strict=True).refusal
    assert refusal.code == "fields_missing"
    assert refusal.facts["missing"] == [field]


@pytest.mark.promise("P70")
def test_strict_mode_lists_all_missing_fields_at_once() -> None:
    refusal = refused({"endpoint": "/v1/search"}, is_strict=True).refusal
    assert refusal.facts["missing"] == list(REQUIRED_FIELDS)


@pytest.mark.promise("P70")
def test_without_strict_mode_only_customer_and_metric_have_no_default() -> None:
    assert refused({}).refusal.facts["missing"] == ["customer_id", "metric"]
    for field in REQUIRED_FIELDS:
        verdict = verdicts(event(**{field: ...}))[0]
        assert isinstance(verdict, Refused if field in {"customer_id", "metric"} else Accepted)


@pytest.mark.parametrize(
    ("field", "header"),
    [
        ("idempotency_key", {"idempotency_header": "req_7f2a"}),
        ("tenant_id", {"tenant_header": "acme_corp"}),
        ("source", {"source": "sdk-python"}),
    ],
)
def test_a_header_the_client_sent_is_no_default(field: str, header: dict[str, str]) -> None:
    assert accepted(event(**{field: ...}), is_strict=True, **header) == accepted(FULL)


def test_a_gateways_batch_takes_the_tenant_from_its_key_and_nothing_else() -> None:
    raw = event(tenant_id=..., source=...)
    assert accepted([raw], is_strict=True, source="kong").source == "kong"
    assert refused([raw], is_strict=True, source="sdk-go").refusal.facts["missing"] == ["tenant_id"]
    missing = refused([{}], is_strict=True, source="kong").refusal.facts["missing"]
    assert missing == ["idempotency_key", "customer_id", "metric", "quantity", "timestamp"]


def test_missing_and_wrong_fields_are_said_together() -> None:
    refusal = refused(event(metric=..., quantity="many")).refusal
    assert refusal.code == "fields_missing"
    assert refusal.facts["missing"] == ["metric"]
    assert refusal.facts["errors"] == {"quantity": "is no decimal number"}


# Tenant ----------------------------------------------------------------------------------------------------


def test_a_tenant_that_disagrees_with_the_key_is_refused() -> None:
    assert refused(event(tenant_id="other")).refusal.code == "tenant_mismatch"
    assert fields_in_error(refused(event(tenant_id=7))) == {"tenant_id"}
    with pytest.raises(Problem) as caught:
        verdicts(FULL, tenant_header="other")
    assert caught.value.code == "tenant_mismatch"


# Keys ------------------------------------------------------------------------------------------------------


@pytest.mark.promise("P67")
def test_a_header_is_the_key_of_one_event_and_numbers_the_events_of_a_batch() -> None:
    raw = event(idempotency_key=...)
    assert accepted(raw, idempotency_header="h").idempotency_key == "h"
    keys = [
        v.event.idempotency_key
        for v in verdicts([raw, FULL, raw], idempotency_header="h")
        if isinstance(v, Accepted)
    ]
    assert keys == ["h:0", "req_7f2a", "h:2"]
    assert accepted([raw], idempotency_header="h").idempotency_key == "h:0"


@pytest.mark.promise("P67")
def test_a_generated_key_is_the_same_when_the_submission_is_read_again() -> None:
    raw = event(idempotency_key=...)
    first, again = verdicts([raw, raw]), verdicts([raw, raw])
    assert first == again
    keys = [v.event.idempotency_key for v in first if isinstance(v, Accepted)]
    assert keys == ["gen_00000000000000ff", "gen_0000000000000100"]


@pytest.mark.parametrize("key", ["k", "x" * 255, "with spaces", "ключ", "🔑", "a:b/c?d"])
def test_keys_of_1_to_255_printable_characters_are_accepted(key: str) -> None:
    assert accepted(event(idempotency_key=key)).idempotency_key == key


@pytest.mark.parametrize("field", ["idempotency_key", "customer_id", "metric", "source"])
@pytest.mark.parametrize(
    "text", ["", "x" * 256, "a\nb", "a\x7f", "tab\t", "\u200b", "\ufeff", 5, True, [], {}, 1.5]
)
def test_other_texts_are_refused_and_named(field: str, text: Any) -> None:
    refusal = refused(event(**{field: text}))
    assert refusal.refusal.code == "field_invalid"
    assert fields_in_error(refusal) == {field}
    assert refusal.idempotency_key == (None if field == "idempotency_key" else "req_7f2a")


def test_headers_are_held_to_the_same_rules() -> None:
    raw = event(idempotency_key=..., source=...)
    assert fields_in_error(refused(raw, idempotency_header="x" * 256)) == {"idempotency_key"}
    assert fields_in_error(refused([raw], idempotency_header="x" * 254)) == {"idempotency_key"}
    assert accepted(raw, idempotency_header="x" * 255)
    assert fields_in_error(refused(raw, source="a\nb")) == {"source"}


# Quantity --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "quantity"),
    [
        (b"1", "1"),
        (b'"0.1"', "0.1"),
        (b"0.1", "0.1"),
        (b"0", "0"),
        (b'"-0"', "0"),
        (b"1e3", "1000"),
        (b"123456789012345678.1234567891", "123456789012345678.1234567891"),
        (b"999999999999999999", "999999999999999999"),
    ],
)
def test_quantities_are_kept_exactly(body: bytes, quantity: str) -> None:
    raw = b'{"metric": "api.call", "customer_id": "cust_abc", "quantity": ' + body + b"}"
    assert str(accepted(raw).quantity) == quantity


@pytest.mark.parametrize(
    "body",
    [
        b"1e400",
        b"1e5000",
        b"-1e400",
        b"1e18",
        b"1000000000000000000",
        b"12345678901234567890123456789",
        b"1.2345678901234567890123456789",
        b'"NaN"',
        b'"Infinity"',
        b'"1e400"',
        b'"many"',
        b'""',
        b"true",
        b"[]",
        b"{}",
        b'" 1"',
        b'"1_0"',
    ],
)
def test_other_quantities_are_refused(body: bytes) -> None:
    raw = b'{"metric": "api.call", "customer_id": "cust_abc", "quantity": ' + body + b"}"
    assert fields_in_error(refused(raw)) == {"quantity"}


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity"])
def test_what_is_no_json_number_makes_the_body_unreadable(number: bytes) -> None:
    with pytest.raises(Problem) as caught:
        verdicts(b'{"quantity": ' + number + b"}")
    assert caught.value.code == "body_unreadable"


# Shapes ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raw", [None, 5, "text", [], True])
def test_what_is_no_object_in_a_batch_is_refused_alone(raw: Any) -> None:
    first, second = verdicts([raw, FULL])
    assert isinstance(first, Refused)
    assert first.payload == raw
    assert (first.index, first.idempotency_key) == (0, None)
    assert isinstance(second, Accepted)


@pytest.mark.parametrize("properties", ["text", 5, [], True])
def test_properties_are_an_object(properties: Any) -> None:
    assert fields_in_error(refused(event(properties=properties))) == {"properties"}


@pytest.mark.parametrize("text", [r"a\u0000b", r"\ud800", r"\udfff\ud800"])
def test_texts_that_cannot_be_stored_are_refused_and_their_payload_can_be(text: str) -> None:
    for raw in (f'{{"a": "{text}"}}', f'{{"properties": {{"{text}": [1]}}}}', f'{{"id": "{text}"}}'):
        refusal = refused(raw.encode())
        assert fields_in_error(refusal) == {"event"}
        str(refusal).encode()
        assert "\0" not in str(refusal.payload)


def test_escapes_of_ordinary_characters_are_read() -> None:
    assert accepted(
        rb'{"event":"api.call","customer_id":"cust_abc","a":"\u00e9\ud83d\ude00\/"}'
    ).properties == {"a": "é😀/"}


def test_the_payload_of_a_refusal_is_the_event_as_received() -> None:
    assert refused(event(metric=..., colour="red")).payload == event(metric=..., colour="red")
