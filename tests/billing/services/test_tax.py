"""The tax table: one rate a tax, jurisdiction and day."""

from __future__ import annotations

from datetime import date

import pytest

from aforo.kernel.errors import Problem
from aforo.tenancy.services.tenants import tenant_create
from billing.models import TaxRate
from billing.services.tax import (
    tax_exemption_create,
    tax_exemption_end,
    tax_rate_create,
    tax_rate_end,
)
from tests.workspaces import customer

pytestmark = pytest.mark.django_db


@pytest.fixture
def tenant():
    return tenant_create(slug="acme_corp", name="Acme")


def rate(tenant, **fields) -> TaxRate:
    named = {"jurisdiction": "DE", "name": "VAT", "percent": "19", "starts_on": date(2026, 1, 1)}
    return tax_rate_create(tenant=tenant, **{**named, **fields})


def refused(call, *args, **kwargs) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value


def test_a_rate_follows_another_and_never_overlaps_it(tenant):
    first = rate(tenant)
    problem = refused(rate, tenant, percent="16", starts_on=date(2026, 7, 1))
    assert problem.detail == "The jurisdiction has this tax on some of these days already."

    # As in Germany in 2020: 16 % from July, 19 % again from January.
    tax_rate_end(tenant=tenant, rate_id=first.pk, ends_on=date(2026, 7, 1))
    rate(tenant, percent="16", starts_on=date(2026, 7, 1), ends_on=date(2027, 1, 1))
    rate(tenant, starts_on=date(2027, 1, 1))

    problem = refused(tax_rate_end, tenant=tenant, rate_id=first.pk, ends_on=date(2026, 7, 2))
    assert problem.code == "input_invalid"


def test_other_taxes_jurisdictions_and_tenants_stand_beside_it(tenant):
    rate(tenant)
    rate(tenant, name="Levy")
    rate(tenant, jurisdiction="AT")
    rate(tenant_create(slug="other", name="Other"))

    assert TaxRate.objects.count() == 4


@pytest.mark.parametrize(
    "fields",
    [
        {"percent": "-1"},
        {"percent": "100.1"},
        {"ends_on": date(2026, 1, 1)},
        {"ends_on": date(2025, 12, 31)},
        {"jurisdiction": ""},
        {"name": ""},
    ],
)
def test_what_is_no_rate_is_refused(tenant, fields):
    assert refused(rate, tenant, **fields).code == "input_invalid"


def test_another_tenants_rate_does_not_exist(tenant):
    theirs = rate(tenant_create(slug="other", name="Other"))
    problem = refused(tax_rate_end, tenant=tenant, rate_id=theirs.pk, ends_on=date(2027, 1, 1))
    assert problem.code == "not_found"


def test_a_category_stands_beside_the_general_rate(tenant):
    rate(tenant)
    rate(tenant, percent="7", tax_category="books")
    assert refused(rate, tenant, tax_category="books").code == "input_invalid"


def test_a_certificate_is_the_customers_and_one_a_jurisdiction_and_day(tenant):
    customer(tenant, "cust_abc")
    named = {"tenant": tenant, "customer": "cust_abc", "number": "C-1", "reason": "resale"}
    first = tax_exemption_create(**named, starts_on=date(2026, 1, 1), ends_on=date(2027, 1, 1))
    problem = refused(tax_exemption_create, **{**named, "number": "C-2"}, starts_on=date(2026, 12, 31))
    assert (
        problem.detail == "The customer has a certificate of this jurisdiction on some of these days already."
    )
    # Renewed, and not only followed.
    prolonged = tax_exemption_end(tenant=tenant, exemption_id=first.pk, ends_on=date(2028, 1, 1))
    assert prolonged.ends_on == date(2028, 1, 1)
    other = tenant_create(slug="other", name="Other")
    assert (
        refused(tax_exemption_create, **{**named, "tenant": other}, starts_on=date(2028, 1, 1)).code
        == "not_found"
    )
    problem = refused(tax_exemption_end, tenant=other, exemption_id=first.pk, ends_on=date(2029, 1, 1))
    assert problem.code == "not_found"
