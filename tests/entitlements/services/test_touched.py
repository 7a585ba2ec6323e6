"""News for the edge: one fact a call, none for nobody."""

from __future__ import annotations

import pytest

from aforo.outbox.models import Fact
from aforo.tenancy.services.tenants import tenant_create
from entitlements.services.touched import TOUCHED, touched

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
