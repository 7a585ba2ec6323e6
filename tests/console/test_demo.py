"""The demo's seed: everything once, through the services, and the same again."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from io import StringIO

import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command

from aforo.console.demo import SUBSCRIPTION, demo_month, demo_seed
from aforo.kernel.clock import clock_at, now
from aforo.tenancy.models import ApiKey, Customer, Tenant
from aforo.tenancy.services.api_keys import api_key_recognise, api_key_revoke
from billing.models import Charge
from billing.selectors.subscriptions import subscription_for
from billing.services.standings import Standings
from entitlements.selectors.balances import balances_of
from metering.models import MeterRow

pytestmark = pytest.mark.django_db


def seeded(**environment) -> dict:
    stdout = StringIO()
    call_command("demo_seed", "--json", stdout=stdout)
    return json.loads(stdout.getvalue())


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("AFORO_API_KEY", raising=False)


@pytest.mark.promise("P03")
def test_one_command_makes_tenant_account_key_and_plan():
    with clock_at(datetime(2026, 11, 27, 12, tzinfo=UTC)):
        answer = seeded()
    assert answer | {"admin_password": "", "api_key": ""} == {
        "tenant": "acme_corp",
        "customer": "cust_abc",
        "month": "2026-10",
        "admin_user": "admin",
        "admin_password": "",
        "api_key": "",
        "created": True,
    }
    assert authenticate(username="admin", password=answer["admin_password"]).is_superuser
    assert api_key_recognise(answer["api_key"]).tenant.slug == "acme_corp"
    assert sorted(Tenant.objects.values_list("environment", flat=True)) == ["live", "test"]
    assert set(MeterRow.objects.values_list("key", flat=True)) == {
        "api.call",
        "llm.requests",
        "llm.input_tokens",
        "llm.output_tokens",
    }
    subscription = subscription_for(Tenant.objects.get(environment="live"), SUBSCRIPTION)
    assert subscription.starts_at == datetime(2026, 10, 1, tzinfo=UTC)
    assert (subscription.state, subscription.items.get().plan_version.status) == ("ACTIVE", "PUBLISHED")
    assert Charge.objects.get(code="base").amount == Decimal("49.09")


def test_a_second_seed_changes_nothing_and_keeps_the_key_it_is_given(monkeypatch):
    first = seeded()
    monkeypatch.setenv("AFORO_API_KEY", first["api_key"])
    second = seeded()
    assert second == {**first, "admin_password": None, "created": False}
    assert (ApiKey.objects.count(), Customer.objects.count()) == (1, 1)


def test_the_customer_has_a_feature_to_ask_canaccess_about():
    tenant = demo_seed().tenant
    demo_seed()
    Standings().told()
    (one,) = balances_of(tenant, Customer.objects.get(), now()).entitlements
    assert (one.terms.feature.code, one.terms.limit, one.remaining) == ("advanced_ai_search", 1_000, 1_000)
    assert one.terms.in_force.sentence == "1000 from the plan llm-payg"


def test_a_key_that_is_lost_revoked_or_anothers_is_replaced():
    first = demo_seed()
    for lost in (None, "sk_live_nonsense"):
        again = demo_seed(api_key=lost)
        assert again.api_key not in (None, lost, first.api_key)
        assert api_key_recognise(again.api_key).tenant == first.tenant
    api_key_revoke(tenant=first.tenant, key_id=api_key_recognise(first.api_key).key_id)
    assert demo_seed(api_key=first.api_key).api_key != first.api_key


@pytest.mark.parametrize(
    ("made", "zone", "month"),
    [
        ("2026-11-27T12:00:00+00:00", "UTC", date(2026, 10, 1)),
        ("2026-01-01T00:00:00+00:00", "UTC", date(2025, 12, 1)),
        # In New York it is still 31 October.
        ("2026-11-01T02:00:00+00:00", "America/New_York", date(2026, 9, 1)),
    ],
)
def test_the_month_is_the_last_full_one_before_the_tenant_was_made(made, zone, month):
    assert demo_month(Tenant(created_at=datetime.fromisoformat(made), timezone=zone)) == month


def test_people_read_it_line_by_line():
    stdout = StringIO()
    call_command("demo_seed", stdout=stdout)
    call_command("demo_seed", stdout=stdout)
    lines = stdout.getvalue().splitlines()
    assert lines[0].split() == ["tenant", "acme_corp"]
    assert "admin_password  (kept)" in lines
