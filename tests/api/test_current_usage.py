"""A subscription's present period over HTTP: usage, quota and price so far, with nothing stored."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from billing.models import Invoice
from billing.schemas.current_usage import ChargeUsageSerializer, CurrentUsageSerializer
from tests.api.conftest import Api
from tests.billing.builders import a_fee, a_subscription, used
from tests.workspaces import customer, meter

pytestmark = pytest.mark.django_db

MARCH_20 = datetime(2026, 3, 20, tzinfo=UTC)
ADDRESS = "/v1/subscriptions/sub_1/current-usage"


@pytest.fixture
def buyer(acme):
    """10.00 a month and 0.001 a call beyond 1,000; 2,000 calls a month, of which 1,500 are used."""
    buyer = customer(acme.tenant, "cust_calls")
    calls = meter(acme.tenant, "calls", "SUM")
    price = {
        "code": "calls",
        "meter": calls,
        "model": "PER_UNIT",
        "unit_price": Decimal("0.001"),
        "included_units": 1_000,
        "quota_units": 2_000,
        "over_quota": "CHARGE",
    }
    a_subscription(buyer, a_fee("10.00"), price)
    used(buyer, calls, "1500")
    return buyer


def test_it_says_what_each_charge_comes_to_so_far(api, buyer):
    # 10.00 + (1,500 - 1,000) x 0.001 = 10.50; 500 of the quota are left.
    with clock_at(MARCH_20):
        body = api.get(ADDRESS).json()
    assert body["amount"] == "10.50"
    assert body["period"] == {"start": "2026-03-01T00:00:00Z", "end": "2026-04-01T00:00:00Z"}
    fee, calls = body["charges"]
    assert (fee["code"], fee["amount"], fee["quota"], fee["remaining"]) == ("base", "10.00", None, None)
    assert (calls["quantity"], calls["quota"], calls["remaining"], calls["amount"]) == (
        "1500",
        "2000",
        "500",
        "0.50",
    )
    assert calls["tiers"][0]["quantity"] == "500"
    assert body.keys() == CurrentUsageSerializer().fields.keys()
    assert calls.keys() == ChargeUsageSerializer().fields.keys()
    assert not Invoice.objects.exists()


def test_of_a_period_without_the_subscription_it_says_so(api, buyer):
    with clock_at(datetime(2025, 3, 1, tzinfo=UTC)):
        answer = api.get(ADDRESS)
    assert (answer.status_code, answer.json()["type"].rpartition("/")[2]) == (409, "state-conflict")


def test_another_tenants_subscription_is_not_found(api, other, buyer):
    assert Api(other.key).get(ADDRESS).status_code == 404
