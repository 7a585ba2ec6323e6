"""Mapping: fields found in payloads of other systems."""

from __future__ import annotations

from typing import Any

import pytest

from metering.mapping import items_of, mapped, wrong_entries

from .builders import accepted, refused, submission, verdicts

ORDER = {
    "type": "order.paid",
    "account": {"id": "cust_abc"},
    "data": {
        "id": "ord_1",
        "units": 3,
        "tags": ["a", "b"],
        "items": [{"sku": "x", "n": 1}, {"sku": "y", "n": 2}],
    },
}


@pytest.mark.parametrize(
    ("mapping", "event"),
    [
        ({"customer_id": "account.id", "quantity": "data.units"}, {"customer_id": "cust_abc", "quantity": 3}),
        ({"metric": "=api.call"}, {"metric": "api.call"}),
        ({"metric": "type", "source": "=a.b=c"}, {"metric": "order.paid", "source": "a.b=c"}),
        ({"properties.tag": "data.tags.1"}, {"properties": {"tag": "b"}}),
        ({"properties": "account", "properties.n": "data.units"}, {"properties": {"id": "cust_abc", "n": 3}}),
        (
            {"quantity": "data.tags.2", "metric": "type.x", "timestamp": "nowhere", "source": "data.tags.x"},
            {},
        ),
    ],
)
def test_a_path_leads_to_a_field(mapping: dict[str, str], event: dict[str, Any]) -> None:
    assert mapped(ORDER, mapping) == event


def test_each_item_of_a_list_is_an_event_with_what_stands_beside_the_list() -> None:
    mapping = {"events": "data.items", "customer_id": "account.id", "quantity": "n", "properties.sku": "sku"}
    items = items_of(ORDER, mapping)
    assert [mapped(item, mapping) for item in items] == [
        {"customer_id": "cust_abc", "quantity": 1, "properties": {"sku": "x"}},
        {"customer_id": "cust_abc", "quantity": 2, "properties": {"sku": "y"}},
    ]
    assert "items" not in items[0]["data"]
    assert items_of({"data": {"items": [7]}}, mapping) == [7]
    assert items_of([ORDER], {"events": "0.data.items"})[0] == {"sku": "x", "n": 1}


def test_without_the_list_the_payload_is_the_event() -> None:
    assert items_of(ORDER, {"events": "no.list"}) == [ORDER]
    assert items_of(ORDER, {}).is_single


def test_an_event_by_mapping_is_judged_like_any_other_and_kept_as_received() -> None:
    mapping = {
        "customer_id": "account.id",
        "metric": "=api.call",
        "idempotency_key": "data.id",
        "quantity": "data.units",
    }
    one = accepted(ORDER, door="webhook", mapping=mapping)
    assert (one.idempotency_key, one.quantity, one.properties) == ("ord_1", 3, {})
    # tenantId, specversion and whatever else stands in it means nothing there.
    other = {**ORDER, "tenantId": "other", "specversion": "0.3"}
    assert accepted(other, door="webhook", mapping=mapping) == one
    letter = refused({**ORDER, "account": None}, door="webhook", mapping=mapping)
    assert letter.refusal.facts["missing"] == ["customer_id"]
    assert letter.payload == {**ORDER, "account": None}
    assert verdicts([7], door="webhook", mapping=mapping)[0].refusal.code == "field_invalid"


@pytest.mark.parametrize(
    ("mapping", "wrong"),
    [
        (
            {"metric": "type", "quantity": "a.b", "properties.x": "=1", "properties": "a", "events": "a"},
            set(),
        ),
        ({"customer_id": "=a..b"}, set()),
        ({"tenant_id": "a"}, {"tenant_id"}),
        ({"customer": "a", "properties.": "a", "": "a"}, {"customer", "properties.", ""}),
        (
            {"metric": "", "quantity": "a..b", "source": "=", "timestamp": 7},
            {"metric", "quantity", "source", "timestamp"},
        ),
    ],
)
def test_entries_that_mean_nothing_are_named(mapping: dict[str, Any], wrong: set[str]) -> None:
    assert wrong_entries(mapping).keys() == wrong


def test_a_mapping_travels_through_the_log() -> None:
    from metering.packing import submission_pack, submission_unpack

    sent = submission(ORDER, door="webhook", mapping={"metric": "type"})
    assert submission_unpack(submission_pack(sent)) == sent
