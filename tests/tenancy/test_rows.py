"""A list of values as one parameter is what `__in` says of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from aforo.tenancy.models import Customer
from aforo.tenancy.selectors.rows import listed
from tests.workspaces import customer, workspace

pytestmark = pytest.mark.django_db

AT = datetime(2026, 3, 15, 12, 0, 0, 5, tzinfo=UTC)


def test_numbers_names_and_instants():
    acme = workspace()
    names = ["cust_abc", "", "cust,{x}", 'cust_"q"', "cust_'\\"]
    for place, name in enumerate(names[1:]):
        customer(acme.tenant, name, created_at=AT + timedelta(days=place))
    rows = Customer.objects.order_by("pk")
    ids = [row.pk for row in rows]
    assert list(rows.filter(pk__in=listed(ids[1:3])).values_list("pk", flat=True)) == ids[1:3]
    assert list(rows.filter(parent__in=listed(set(ids)))) == []
    for name in names:
        assert rows.get(external_id__in=listed([name, "nobody"])).external_id == name
    assert rows.get(created_at__in=listed([AT])).external_id == ""
    for field in ("pk", "external_id", "created_at"):
        assert list(rows.filter(**{f"{field}__in": listed([])})) == []
