"""Customers: defaults of the tenant, names that events can carry, parents without rings."""

from __future__ import annotations

import pytest

from aforo.kernel.errors import Problem
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.services.customers import customer_create, customer_update
from aforo.tenancy.services.tenants import tenant_create

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant() -> Tenant:
    return tenant_create(slug="acme_corp", name="Acme", timezone="Europe/Berlin", currency="EUR")


def refused(call, *args, **kwargs) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value


def test_zone_and_currency_are_the_tenants_unless_given(tenant):
    plain = customer_create(tenant=tenant, external_id="cust_a")
    given = customer_create(
        tenant=tenant, external_id="cust_b", name="B", currency="JPY", timezone="Asia/Tokyo"
    )

    assert (plain.name, plain.currency, plain.timezone) == ("cust_a", "EUR", "Europe/Berlin")
    assert (given.name, given.currency, given.timezone) == ("B", "JPY", "Asia/Tokyo")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"external_id": ""}, "external_id"),
        ({"external_id": "a\nb"}, "external_id"),
        ({"external_id": "a" * 256}, "external_id"),
        ({"currency": "EURO"}, "currency"),
        ({"currency": "XXX"}, "currency"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"email": "nobody"}, "email"),
        ({"tax_jurisdiction": "x" * 33}, "tax_jurisdiction"),
    ],
)
def test_wrong_fields_are_named(tenant, fields, field):
    problem = refused(customer_create, **{"tenant": tenant, "external_id": "cust_a", "name": "A", **fields})

    assert (problem.code, list(problem.facts["errors"])) == ("input_invalid", [field])


def test_an_external_id_is_taken_once_a_tenant(tenant):
    customer_create(tenant=tenant, external_id="cust_a")
    customer_create(tenant=tenant_create(slug="other", name="Other"), external_id="cust_a")

    assert refused(customer_create, tenant=tenant, external_id="cust_a").code == "already_exists"


def test_parents_form_no_ring(tenant):
    customer_create(tenant=tenant, external_id="group")
    customer_create(tenant=tenant, external_id="region", parent="group")
    customer_create(tenant=tenant, external_id="shop", parent="region")

    problem = refused(customer_update, tenant=tenant, external_id="group", parent="shop")
    assert problem.code == "state_conflict"
    assert problem.detail == "The parents would form a ring: group → shop → region → group."
    assert refused(customer_update, tenant=tenant, external_id="shop", parent="shop").code == "state_conflict"

    customer_update(tenant=tenant, external_id="region", parent=None)
    assert customer_update(tenant=tenant, external_id="group", parent="shop").parent.external_id == "shop"


def test_a_parent_of_another_tenant_does_not_exist(tenant):
    other = tenant_create(slug="other", name="Other")
    customer_create(tenant=other, external_id="theirs")

    assert refused(customer_create, tenant=tenant, external_id="a", parent="theirs").code == "not_found"
    customer_create(tenant=tenant, external_id="a")
    assert refused(customer_update, tenant=other, external_id="a", name="x").code == "not_found"


def test_a_row_of_another_tenant_is_refused_whoever_saves(tenant):
    other = tenant_create(slug="other", name="Other")
    theirs = customer_create(tenant=other, external_id="theirs")
    row = Customer(tenant=tenant, external_id="a", name="a", parent=theirs)

    with pytest.raises(Exception, match="No such customer"):
        row.full_clean()
