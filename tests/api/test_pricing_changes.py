"""Connect once: what a customer pays changes by catalog and contract alone, the calls that meter it stay the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aforo.kernel.clock import clock_at

NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


def plan(unit_price: str) -> list[dict[str, str]]:
    return [
        {
            "code": "calls",
            "name": "Calls",
            "model": "PER_UNIT",
            "meter": "api.call",
            "unit_price": unit_price,
            "included_units": "100",
        }
    ]


@pytest.mark.promise("P05")
def test_price_contract_and_coupon_change_the_invoice_and_no_call(api, acme, stored):
    def made(address: str, body: object) -> dict[str, object]:
        answer = api.post(f"/v1/{address}", body)
        assert answer.status_code in (200, 201), answer.content
        return answer.json()

    def used(quantity: int) -> None:
        # What a gateway sends; it knows nothing of prices.
        call = {"event": "api.call", "endpoint": "/v1/search", "customer_id": "cust_abc"}
        answer = api.post("/v1/events", [call] * quantity)
        assert answer.json()["accepted"] == quantity
        stored()

    def total(subscription: str) -> str:
        return made("invoices/preview", {"subscription": subscription})["total"]

    with clock_at(NOON):
        made("products", {"code": "api", "name": "API"})
        made(
            "rate-plans",
            {"product": "api", "code": "payg", "name": "Pay as you go", "charges": plan("0.10")},
        )
        made("rate-plans/payg/versions/1/publish", None)
        made("offerings", {"code": "payg", "name": "Pay as you go", "plans": ["payg"]})
        first = {"code": "sub-1", "customer": "cust_abc", "offering": "payg", "starts_on": "2026-03-01"}
        made("subscriptions", {**first, "anchor_on": "2026-03-01"})
        used(150)
        # 150 calls, 100 included: 50 x 0.10 = 5.00.
        assert total("sub-1") == "5.00"

        # A contract over the whole month: 5.00 used, minimum 20.00.
        made(
            "contracts",
            {"code": "c-1", "subscription": "sub-1", "starts_on": "2026-03-01", "minimum_amount": "20"},
        )
        assert total("sub-1") == "20.00"

        # 10 % off: 18.00. Sales tax of 8 % on it: 1.44.
        made("coupons", {"code": "ten", "name": "10 %", "kind": "PERCENTAGE", "percent": "10"})
        made("coupons/ten/attach", {"subscription": "sub-1"})
        assert total("sub-1") == "18.00"
        assert api.patch("/v1/customers/cust_abc", {"tax_jurisdiction": "US-NY"}).status_code == 200
        made(
            "tax-rates",
            {"jurisdiction": "US-NY", "name": "Sales tax", "percent": "8", "starts_on": "2026-01-01"},
        )
        assert total("sub-1") == "19.44"

        # A new price is a new version, which the next subscription gets; this one keeps what it has.
        made("rate-plans/payg/versions", {"charges": plan("0.20")})
        made("rate-plans/payg/versions/2/publish", None)
        assert total("sub-1") == "19.44"
        made("subscriptions/sub-1/cancel", {})

    with clock_at(NOON + timedelta(days=20)):
        made("subscriptions", {**first, "code": "sub-2", "starts_on": "2026-04-01"})
        used(150)
        # 50 x 0.20 = 10.00, 8 % tax 0.80.
        assert total("sub-2") == "10.80"
