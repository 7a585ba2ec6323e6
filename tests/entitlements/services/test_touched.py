"""News for the edge: one fact a call, none for nobody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aforo.outbox.models import Fact
from aforo.tenancy.services.customers import customer_update
from aforo.tenancy.services.tenants import tenant_create
from entitlements.services.features import feature_create, feature_edit
from entitlements.services.touched import TOUCHED, touched
from metering.models import MeterRow
from metering.services.meters import meter_update
from tests.workspaces import workspace

pytestmark = pytest.mark.django_db


def test_customers_or_all_of_the_tenant_are_told_of_by_one_fact():
    tenant = tenant_create(slug="acme_corp", name="Acme")
    Fact.objects.all().delete()

    touched(tenant=tenant, customer_ids={7, 3})
    touched(tenant=tenant, customer_ids=[])
    touched(tenant=tenant, customer_ids=None)

    told = Fact.objects.order_by("id").values_list("tenant", "topic", "body")
    assert list(told) == [
        (tenant.pk, TOUCHED, {"customer_ids": [3, 7]}),
        (tenant.pk, TOUCHED, {"customer_ids": None}),
    ]


def test_what_is_told_again_waits_since_it_was_told_first():
    tenant = tenant_create(slug="acme_corp", name="Acme")
    since = datetime(2026, 3, 15, 12, tzinfo=UTC)
    touched(tenant=tenant, customer_ids=[7], since=since)
    assert Fact.objects.get(topic=TOUCHED).created_at == since


def test_another_time_zone_of_a_customer_is_told_and_another_name_is_not():
    acme = workspace()
    Fact.objects.all().delete()
    customer_update(tenant=acme.tenant, external_id="cust_abc", name="ABC", timezone="UTC")
    assert Fact.objects.count() == 0
    customer_update(tenant=acme.tenant, external_id="cust_abc", timezone="Asia/Kolkata")
    fact = Fact.objects.get()
    assert (fact.tenant, fact.topic, fact.body) == (
        acme.tenant,
        TOUCHED,
        {"customer_ids": [acme.customer.pk]},
    )


def test_a_meter_that_counts_something_else_is_told_where_a_feature_counts_by_it():
    acme = workspace()
    meter_update(tenant=acme.tenant, key="api.call", aggregation="SUM")
    assert Fact.objects.filter(topic=TOUCHED).count() == 0

    feature_create(
        tenant=acme.tenant, actor="ada", code="search", name="Search", kind="METERED", meter="api.call"
    )
    for changes in (
        {"aggregation": "COUNT"},
        {"event_name": "call"},
        {"filters": [{"field": "model", "operator": "EQUALS", "value": "o3"}]},
        {"conversion": {"operation": "divide", "factor": "1000", "rounding": "up", "places": 0}},
    ):
        Fact.objects.all().delete()
        meter_update(tenant=acme.tenant, key="api.call", **changes)
        assert Fact.objects.get(topic=TOUCHED).body == {"customer_ids": None}, changes

    Fact.objects.all().delete()
    meter_update(tenant=acme.tenant, key="api.call", name="Calls", unit="call")
    # Nor by a change that says the same, made behind everybody's back.
    MeterRow.objects.update(aggregation="COUNT")
    assert Fact.objects.count() == 0
    feature_edit(tenant=acme.tenant, actor="ada", code="search", is_archived=True)
    Fact.objects.all().delete()
    MeterRow.objects.update(aggregation="SUM")
    assert Fact.objects.count() == 0
