"""Rows to records: many customers at once say what each says alone, and what the rows say."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from aforo.kernel.clock import now
from aforo.tenancy.models import Customer
from entitlements.edge.compilation import customer_records

from .shops import made_by_chance

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("seed", range(4))
def test_customers_compiled_together_are_what_each_is_alone(seed):
    shop = made_by_chance(seed)
    customers = list(Customer.objects.filter(tenant=shop.tenant).order_by("pk"))
    for at in (now(), now() + timedelta(days=2, seconds=1)):
        together = customer_records(shop.tenant, customers, at)
        alone = [customer_records(shop.tenant, [one], at) for one in customers]
        assert together.records == tuple(record for one in alone for record in one.records)
        assert together.due == {customer: due for one in alone for customer, due in one.due.items()}
        # Each kind of record is among them, so that this compares something.
        assert {getattr(record, "kind", None) for record in together.records} == {
            None,
            "metered",
            "static",
            "boolean",
        }
        assert all(isinstance(due, datetime) and due > at for due in together.due.values())
