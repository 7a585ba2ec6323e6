from datetime import UTC, datetime

import pytest

from aforo.kernel.errors import Problem
from aforo.tenancy.services.tenants import tenant_create
from billing.selectors.profiles import billing_profile_for
from billing.services.profiles import billing_profile_set
from tests.billing.builders import a_fee, a_subscription, issued
from tests.workspaces import customer

pytestmark = pytest.mark.django_db


def test_defaults_hold_until_something_is_set():
    tenant = tenant_create(slug="acme_corp", name="Acme")
    found = billing_profile_for(tenant)
    assert (found.legal_name, found.number_prefix, found.rounding) == ("Acme", "INV", "half_up")

    billing_profile_set(tenant=tenant, rounding="half_even")
    billing_profile_set(tenant=tenant, number_prefix="AC")
    found = billing_profile_for(tenant)
    assert (found.legal_name, found.number_prefix, found.rounding) == ("Acme", "AC", "half_even")


def test_a_prefix_numbers_the_next_invoice():
    tenant = tenant_create(slug="acme_corp", name="Acme")
    billing_profile_set(tenant=tenant, number_prefix="AC")
    invoice = issued(a_subscription(customer(tenant), a_fee()), at=datetime(2026, 4, 2, tzinfo=UTC))
    assert invoice.number == "AC-000001"


@pytest.mark.parametrize(
    "fields", [{"rounding": "down"}, {"number_prefix": "x" * 17}, {"legal_name": ""}, {"number_prefix": ""}]
)
def test_what_is_no_profile_is_refused(fields):
    tenant = tenant_create(slug="acme_corp", name="Acme")
    with pytest.raises(Problem) as caught:
        billing_profile_set(tenant=tenant, **fields)
    assert caught.value.code == "input_invalid"
