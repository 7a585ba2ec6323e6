"""CloudEvents 1.0: three modes, one event."""

from __future__ import annotations

from typing import Any

import pytest

from ..builders import accepted, event, fields_in_error, refused

CLOUD_EVENT = {
    "specversion": "1.0",
    "id": "req_7f2a",
    "source": "/gateways/eu-1",
    "type": "api.call",
    "subject": "cust_abc",
    "time": "2026-03-15T11:59:00Z",
    "datacontenttype": "application/json",
    "traceparent": "00-abc-01",
    "data": {"quantity": "3", "model": "gpt-4o"},
}
STRUCTURED = "application/cloudevents+json"


def test_the_attributes_have_their_fields_and_the_rest_are_properties() -> None:
    one = accepted(CLOUD_EVENT, content_type=STRUCTURED)
    assert one == accepted(
        event(
            tenant_id=...,
            source="/gateways/eu-1",
            quantity=3,
            properties={"traceparent": "00-abc-01", "model": "gpt-4o"},
        )
    )


def test_the_three_modes_give_the_same_event() -> None:
    structured = accepted(CLOUD_EVENT, content_type=STRUCTURED)
    assert accepted([CLOUD_EVENT], content_type="application/cloudevents-batch+json") == structured
    headers = tuple((f"ce-{name}", str(value)) for name, value in CLOUD_EVENT.items() if "data" not in name)
    assert accepted(CLOUD_EVENT["data"], attributes=headers) == structured
    # {"quantity": "3", "model": "gpt-4o"}
    hidden = {**CLOUD_EVENT, "data": None, "data_base64": "eyJxdWFudGl0eSI6ICIzIiwgIm1vZGVsIjogImdwdC00byJ9"}
    assert accepted(hidden, content_type=STRUCTURED) == structured
    # A replayed dead letter is the object alone; it says itself what it is.
    assert accepted(CLOUD_EVENT) == structured


@pytest.mark.parametrize(
    ("data", "quantity", "properties"),
    [
        ({"value": 2}, 2, {}),
        ({"quantity": 3, "value": 2}, 3, {"value": 2}),
        ({"quantity": None, "value": 2}, 2, {"quantity": None}),
        ({}, 1, {}),
        (None, 1, {}),
    ],
)
def test_the_quantity_is_in_the_data(data: Any, quantity: int, properties: dict[str, Any]) -> None:
    one = accepted({**CLOUD_EVENT, "traceparent": "t", "data": data}, content_type=STRUCTURED)
    assert one.quantity == quantity
    assert one.properties == {"traceparent": "t", **properties}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"specversion": None}, "specversion"),
        ({"data": "text"}, "data"),
        ({"data": [1]}, "data"),
        ({"data_base64": "e30="}, "data"),
        ({"data": None, "data_base64": "AAAA"}, "data_base64"),
        ({"data": None, "data_base64": "no base64"}, "data_base64"),
        ({"data": None, "data_base64": "WzFd"}, "data_base64"),
        ({"data": None, "data_base64": 7}, "data_base64"),
        ({"id": 5}, "idempotency_key"),
        ({"data": {"traceparent": "other"}}, "traceparent"),
        ({"time": "noon"}, "timestamp"),
    ],
)
def test_wrong_cloud_events_are_refused_and_kept_as_received(change: dict[str, Any], field: str) -> None:
    raw = {**CLOUD_EVENT, **change}
    refusal = refused(raw, content_type=STRUCTURED)
    assert fields_in_error(refusal) == {field}
    assert refusal.payload == raw


def test_extension_attributes_keep_their_types_and_percent_signs_are_read() -> None:
    one = accepted({**CLOUD_EVENT, "sequence": 7, "sampled": True}, content_type=STRUCTURED)
    assert (one.properties["sequence"], one.properties["sampled"]) == (7, True)
    attributes = {"specversion": "1.0", "id": "k", "source": "/s", "type": "api.call", "subject": "cust_abc"}
    headers = tuple((f"ce-{name}", value) for name, value in attributes.items())
    assert accepted({}, attributes=(*headers, ("ce-region", "S%C3%A3o%20Paulo"))).properties == {
        "region": "São Paulo"
    }


@pytest.mark.parametrize(
    "content_type", ["application/vnd.acme.usage+json", "application/json; charset=utf-8", None]
)
def test_in_binary_mode_the_body_may_be_any_json(content_type: str | None) -> None:
    headers = tuple((f"ce-{name}", str(value)) for name, value in CLOUD_EVENT.items() if "data" not in name)
    assert accepted(CLOUD_EVENT["data"], attributes=headers, content_type=content_type).quantity == 3


def test_texts_that_are_hidden_are_looked_at_too() -> None:
    attributes = {"specversion": "1.0", "id": "k", "source": "/s", "type": "api.call", "subject": "cust_abc"}
    headers = tuple((f"ce-{name}", value) for name, value in {**attributes, "note": "a%00b"}.items())
    assert fields_in_error(refused({}, attributes=headers)) == {"event"}
    # {"note": "a\\u0000"}
    hidden = {**CLOUD_EVENT, "data": None, "data_base64": "eyJub3RlIjogImFcdTAwMDAifQ=="}
    assert fields_in_error(refused(hidden, content_type=STRUCTURED)) == {"data_base64"}


def test_strict_mode_holds_for_cloud_events_too() -> None:
    missing = refused(CLOUD_EVENT, content_type=STRUCTURED, is_strict=True).refusal.facts["missing"]
    assert missing == ["tenant_id"]
    assert accepted(CLOUD_EVENT, content_type=STRUCTURED, is_strict=True, tenant_header="acme_corp")
    bare = {"specversion": "1.0"}
    missing = refused(bare, content_type=STRUCTURED, is_strict=True).refusal.facts["missing"]
    assert len(missing) == 7


def test_a_media_type_of_cloud_events_needs_them() -> None:
    assert fields_in_error(refused(event(), content_type=STRUCTURED)) >= {"specversion"}
