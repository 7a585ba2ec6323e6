"""Packages, steps, graduated percentages and the events' own prices: from a plan over HTTP to an invoice that verifies."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aforo.kernel.clock import clock_at
from billing.models import Invoice, Subscription
from billing.services.verification import invoice_verify
from metering.models import MeterRow
from tests.billing.builders import issued
from tests.workspaces import meter

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)
CHARGES = [
    {
        "code": "credits",
        "name": "Credits",
        "model": "PACKAGE",
        "meter": "credits",
        "package_size": "100",
        "package_price": "5",
        "included_units": "100",
    },
    {
        "code": "seats",
        "name": "Seats",
        "model": "STAIRSTEP",
        "meter": "seats",
        "tiers": [
            {"up_to": "10", "flat_fee": "50"},
            {"up_to": "50", "flat_fee": "200"},
            {"up_to": None, "flat_fee": "500"},
        ],
    },
    {
        "code": "payments",
        "name": "Payments",
        "model": "GRADUATED_PERCENTAGE",
        "meter": "payment.amount",
        "tiers": [
            {"up_to": "10000", "percent": "3", "flat_fee": "5"},
            {"up_to": "100000", "percent": "2", "cap": "1500"},
            {"up_to": None, "percent": "1"},
        ],
    },
    {
        "code": "upstream",
        "name": "Upstream calls",
        "model": "DYNAMIC",
        "meter": "upstream.cost",
        "multiplier": "1.15",
    },
]


@pytest.fixture
def shop(api, acme):
    meter(acme.tenant, "credits", "SUM")
    meter(acme.tenant, "seats", "MAX")
    meter(acme.tenant, "payment.amount", "SUM")
    meter(acme.tenant, "upstream.cost", "SUM", event_name="upstream.call", value_property="price")
    meter(acme.tenant, "upstream.calls", "COUNT", event_name="upstream.call")
    assert api.post("/v1/products", {"code": "api", "name": "API"}).status_code == 201
    return api


def plan(*charges: dict[str, object]) -> dict[str, object]:
    return {"product": "api", "code": "mixed", "name": "Mixed", "charges": list(charges)}


@pytest.mark.promise("P16", "P49")
def test_all_four_are_sold_used_and_billed(shop, acme, stored):
    with clock_at(NOON):
        made = shop.post("/v1/rate-plans", plan(*CHARGES))
        assert made.status_code == 201, made.content
        credits, seats, payments, upstream = made.json()["versions"][0]["charges"]
        assert (credits["package_size"], credits["package_price"], credits["included_units"]) == (
            "100",
            "5",
            "100",
        )
        assert [tier["flat_fee"] for tier in seats["tiers"]] == ["50", "200", "500"]
        assert [(tier["percent"], tier["cap"]) for tier in payments["tiers"]] == [
            ("3", None),
            ("2", "1500"),
            ("1", None),
        ]
        assert upstream["multiplier"] == "1.15"
        assert shop.post("/v1/rate-plans/mixed/versions/1/publish").status_code == 200
        shop.post("/v1/offerings", {"code": "mixed", "name": "Mixed", "plans": ["mixed"]})
        subscription = {"code": "sub-1", "customer": "cust_abc", "offering": "mixed"}
        dates = {"starts_on": "2026-03-01", "anchor_on": "2026-03-01"}
        assert shop.post("/v1/subscriptions", {**subscription, **dates}).status_code == 201
        events = [
            *({"metric": "credits", "quantity": quantity} for quantity in ("100", "101")),
            *({"metric": "seats", "quantity": quantity} for quantity in ("8", "11", "9")),
            *({"metric": "payment.amount", "quantity": quantity} for quantity in ("9999", "2")),
            *(
                {"metric": "upstream.call", "properties": {"price": price}}
                for price in ("1.20", "0.35", "2.45")
            ),
            {"metric": "upstream.call", "properties": {"model": "no price"}},
        ]
        sent = shop.post("/v1/events", [{**event, "customer_id": "cust_abc"} for event in events])
        assert sent.json()["accepted"] == len(events), sent.content
        stored()

    # 201 credits, 100 included: 101 begin 2 packages, 10.00. 11 seats: 200.00.
    # 10,001.00 of payments: 300.00 + 5.00 + 0.02 = 305.02. 4.00 of upstream calls at 1.15 times: 4.60.
    issued(Subscription.objects.get(code="sub-1"))
    invoice = Invoice.objects.get()
    assert [str(line.amount.normalize()) for line in invoice.lines.order_by("position")] == [
        "1E+1",
        "2E+2",
        "305.02",
        "4.6",
    ]
    assert invoice.total == sum(line.amount for line in invoice.lines.all())
    (issue,) = invoice.issues
    assert (issue["code"], issue["subject"]) == ("price_missing", "upstream")
    assert issue["sentence"] == "Upstream calls: 1 of 4 events carry no price; they are not billed."
    assert invoice_verify(invoice) == []


@pytest.mark.parametrize(
    ("charge", "changes", "field"),
    [
        (0, {"package_size": "0"}, "package_size"),
        (0, {"package_price": None}, "package_price"),
        (0, {"unit_price": "1"}, "unit_price"),
        (1, {"tiers": [{"up_to": "10", "flat_fee": "50"}]}, "tiers[0].up_to"),
        (1, {"tiers": [{"up_to": None, "unit_price": "50"}]}, "tiers[0].unit_price"),
        (1, {"tiers": [{"up_to": None, "flat_fee": "50", "cap": "1"}]}, "tiers[0].cap"),
        (2, {"tiers": [{"up_to": None, "unit_price": "1"}]}, "tiers[0].unit_price"),
        (2, {"tiers": [{"up_to": None, "percent": "-1"}]}, "tiers[0].percent"),
        (3, {"multiplier": "-1"}, "multiplier"),
        (3, {"included_units": "1"}, "included_units"),
        (3, {"meter": "upstream.calls"}, "meter"),
    ],
)
def test_what_cannot_be_priced_is_refused_by_name(shop, charge, changes, field):
    answer = shop.post("/v1/rate-plans", plan({**CHARGES[charge], **changes}))
    assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid")
    assert list(answer.json()["errors"]) == [f"charges[0].{field}"]


def test_a_meter_that_stops_adding_up_prices_is_found_at_publication(shop, acme):
    shop.post("/v1/rate-plans", plan(CHARGES[3]))
    MeterRow.objects.filter(key="upstream.cost").update(aggregation="COUNT")
    answer = shop.post("/v1/rate-plans/mixed/versions/1/publish")
    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["meter"])
    assert "needs SUM over the property with the price" in answer.json()["detail"]
