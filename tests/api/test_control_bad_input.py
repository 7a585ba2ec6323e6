"""Whatever stands in a field of the control API, the answer is an answer: never a 500, and nothing half done."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import transaction

from aforo.kernel.clock import clock_at
from billing.services.catalog import version_draft
from billing.services.coupons import coupon_create
from metering.batch import store
from tests import catalogs
from tests.metering.rows import call, submission

pytestmark = pytest.mark.slow

NASTY = [
    None,
    True,
    -1,
    1.5,
    10**40,
    2**31,
    "",
    "x" * 70_000,
    "\x00",
    [],
    [{}],
    {"a": {}},
    "1e400",
    "NaN",
    "-0",
    "0.00000000000001",
    "12345678901234567890123.4567",
    "2026-02-30",
    "9999-12-31",
    "0001-01-01T00:00:00Z",
]
CHARGE = {
    "code": "calls",
    "name": "Calls",
    "kind": "USAGE",
    "model": "GRADUATED",
    "meter": "api.call",
    "dimension_filters": {},
    "unit_price": None,
    "amount": None,
    "tiers": [{"up_to": None, "unit_price": "1", "flat_fee": "1"}],
    "percent": None,
    "fixed_fee": None,
    "minimum_fee": None,
    "minimum_without_transactions": True,
    "included_units": "5",
    "block_size": None,
    "rate_basis": "",
    "minimum_amount": "1",
    "maximum_amount": None,
    "quota_units": None,
    "over_quota": "CHARGE",
    "rollover_percent": "50",
    "rollover_units_max": None,
    "rollover_periods": 1,
}
# Method, address and a body that is fine.
CALLS: list[tuple[str, str, dict[str, Any]]] = [
    (
        "post",
        "customers",
        {
            "external_id": "new",
            "name": "New",
            "email": "a@b.example",
            "currency": "USD",
            "timezone": "UTC",
            "tax_jurisdiction": "DE",
            "is_tax_exempt": False,
            "parent": "cust_abc",
        },
    ),
    (
        "post",
        "events/k1/amend",
        {
            "customer_id": "cust_abc",
            "metric": "api.call",
            "quantity": "2.5",
            "timestamp": "2026-03-15T12:00:00Z",
            "properties": {"model": "m1"},
            "reason": "x",
        },
    ),
    ("post", "events/k1/void", {"reason": "x"}),
    ("patch", "customers/cust_abc", {"name": "ABC", "timezone": "UTC", "parent": None}),
    ("post", "api-keys", {"name": "x", "scopes": ["read"], "rate_limit_per_s": 5}),
    ("post", "products", {"code": "new", "name": "New", "description": ""}),
    ("patch", "products/standard", {"name": "Standard", "description": ""}),
    (
        "post",
        "rate-plans",
        {"product": "standard", "code": "new", "name": "New", "currency": "USD", "charges": [CHARGE]},
    ),
    ("post", "rate-plans/archived/versions", {"proration": "day", "charges": [CHARGE]}),
    ("put", "rate-plans/standard/versions/2", {"proration": "second", "charges": [CHARGE]}),
    (
        "post",
        "offerings",
        {
            "code": "new",
            "name": "New",
            "plans": ["standard"],
            "billing_mode": "HYBRID",
            "currency": "USD",
            "payment_terms_days": 3,
        },
    ),
    (
        "post",
        "subscriptions",
        {
            "code": "new",
            "customer": "cust_abc",
            "offering": "standard",
            "plan": "standard",
            "version": 1,
            "starts_on": "2026-01-01",
            "anchor_on": "2026-01-31",
        },
    ),
    ("post", "subscriptions/sub-1/move", {"to": "PAUSED", "reason": "x", "at": "2026-01-01T00:00:00Z"}),
    ("post", "subscriptions/sub-1/cancel", {"at": "2026-01-01T00:00:00Z", "reason": "x"}),
    (
        "post",
        "contracts",
        {
            "code": "new",
            "subscription": "sub-1",
            "currency": "USD",
            "starts_on": "2026-01-01",
            "ends_on": "2027-01-01",
            "minimum_amount": "1",
            "maximum_amount": "2",
            "discount_percent": "5",
            "payment_terms_days": 5,
        },
    ),
    (
        "post",
        "coupons",
        {
            "code": "new",
            "name": "New",
            "kind": "PERCENTAGE",
            "percent": "5",
            "currency": "USD",
            "duration": "REPEATING",
            "duration_periods": 3,
            "redemptions_max": 5,
            "redemptions_max_per_customer": 1,
        },
    ),
    ("post", "coupons/welcome/attach", {"subscription": "sub-1"}),
    (
        "post",
        "tax-rates",
        {
            "jurisdiction": "DE",
            "name": "VAT",
            "percent": "19",
            "is_inclusive": True,
            "starts_on": "2026-01-01",
            "ends_on": "2027-01-01",
        },
    ),
    ("post", "wallets", {"customer": "cust_abc", "currency": "EUR"}),
    (
        "post",
        "wallets/{wallet}/grants",
        {"amount": "5", "kind": "PROMO", "starts_at": "2026-01-01T00:00:00Z", "expires_at": None},
    ),
    ("post", "wallets/{wallet}/grants/{grant}/reduce", {"amount": "5", "reason": "refund"}),
    (
        "post",
        "wallets/{wallet}/holds",
        {"amount": "5", "reference": "job-2", "expires_at": "2990-01-01T00:00:00Z"},
    ),
    ("post", "wallets/{wallet}/holds/{hold}/settle", {"amount": "5"}),
    (
        "put",
        "wallets/{wallet}/top-up-rule",
        {
            "threshold": "10",
            "amount": "50",
            "cool_off_minutes": 5,
            "monthly_max": "100",
            "is_active": True,
        },
    ),
    ("post", "wallets/{wallet}/top-ups/{top_up}/confirm", {"payment_reference": "transfer-1"}),
    ("post", "wallets/{wallet}/top-ups/{top_up}/fail", {"failure": "declined"}),
    (
        "post",
        "wallets/{wallet}/recurring-grants",
        {
            "kind": "PROMO",
            "amount": "5",
            "starts_on": "2990-01-01",
            "ends_on": "2991-01-01",
            "is_kept": False,
        },
    ),
    (
        "patch",
        "billing-profile",
        {"legal_name": "X", "legal_address": "Y", "number_prefix": "Z", "rounding": "half_even"},
    ),
]


@pytest.fixture
def send(api, acme):
    """Sends a call and takes back what it did."""
    catalogs.on_sale(acme.tenant)
    catalogs.published(acme.tenant, "archived")
    catalogs.subscribed(acme.tenant)
    version_draft(tenant=acme.tenant, plan="standard")
    coupon_create(tenant=acme.tenant, code="welcome", name="Welcome", kind="PERCENTAGE", percent="5")
    made = {"wallet": api.post("/v1/wallets", {"customer": "cust_abc"}).json()["id"]}
    for name, address, body in (
        ("grant", "grants", {"amount": "50"}),
        ("hold", "holds", {"amount": "10", "reference": "job-1"}),
        ("top_up", "top-ups", {"amount": "10"}),
    ):
        made[name] = api.post(f"/v1/wallets/{made['wallet']}/{address}", body).json()["id"]
    with clock_at(datetime(2026, 3, 16, tzinfo=UTC)):
        store([submission(acme, call("k1"))])

    def sent(method: str, address: str, body: object):
        before = transaction.savepoint()
        answer = getattr(api, method)(f"/v1/{address.format(**made)}", body)
        transaction.savepoint_rollback(before)
        return answer

    return sent


@pytest.mark.parametrize(("method", "address", "body"), CALLS, ids=[f"{m} {a}" for m, a, _ in CALLS])
def test_any_value_in_any_field_is_answered(send, method, address, body):
    assert send(method, address, body).status_code in (200, 201), send(method, address, body).content

    for value in NASTY:
        for wrong in (value, *({**body, field: value} for field in body)):
            answer = send(method, address, wrong)
            assert answer.status_code < 500, wrong
            if answer.status_code >= 400:
                assert answer["Content-Type"] == "application/problem+json"


def test_any_value_in_any_field_of_a_charge_is_answered(send):
    for value in NASTY:
        for field in CHARGE:
            body = {"charges": [{**CHARGE, field: value}]}
            assert send("put", "rate-plans/standard/versions/2", body).status_code < 500, body
        for field in CHARGE["tiers"][0]:
            body = {"charges": [{**CHARGE, "tiers": [{**CHARGE["tiers"][0], field: value}]}]}
            assert send("put", "rate-plans/standard/versions/2", body).status_code < 500, body
