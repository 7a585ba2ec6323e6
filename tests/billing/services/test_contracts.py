"""Contracts: terms of one subscription, one at a time, with figures that make sense."""

from __future__ import annotations

from datetime import date

import pytest

from aforo.kernel.errors import Problem
from billing.models import Contract
from billing.services.contracts import contract_create
from tests import catalogs, workspaces

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> workspaces.Workspace:
    made = workspaces.workspace()
    catalogs.on_sale(made.tenant)
    catalogs.subscribed(made.tenant)
    return made


def contract(shop, code="c-1", **fields) -> Contract:
    return contract_create(
        **{
            "tenant": shop.tenant,
            "code": code,
            "subscription": "sub-1",
            "starts_on": date(2026, 1, 1),
            "ends_on": date(2027, 1, 1),
            **fields,
        }
    )


def refused(call, *args, **kwargs) -> Problem:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value


def test_its_currency_is_the_subscriptions(shop):
    assert contract(shop, minimum_amount="100", discount_percent="12.5").currency == "USD"
    assert list(refused(contract, shop, "c-2", currency="EUR").facts["errors"]) == ["currency"]


def test_terms_touch_but_never_overlap(shop):
    contract(shop)
    contract(shop, "c-2", starts_on=date(2027, 1, 1), ends_on=None)

    for starts_on, ends_on in (
        (date(2025, 1, 1), date(2026, 1, 2)),
        (date(2026, 6, 1), date(2026, 7, 1)),
        (date(2028, 1, 1), None),
    ):
        problem = refused(contract, shop, "c-3", starts_on=starts_on, ends_on=ends_on)
        assert problem.detail == "The subscription has another contract in this term."
    catalogs.subscribed(shop.tenant, "sub-2")
    contract(shop, "c-3", subscription="sub-2")


@pytest.mark.parametrize(
    "fields",
    [
        {"ends_on": date(2026, 1, 1)},
        {"ends_on": date(2025, 12, 31)},
        {"minimum_amount": "-1"},
        {"minimum_amount": "0.005"},
        {"minimum_amount": "100", "maximum_amount": "99"},
        {"discount_percent": "101"},
        {"discount_percent": "-1"},
        {"payment_terms_days": -1},
    ],
)
def test_figures_that_make_no_sense_are_refused(shop, fields):
    assert refused(contract, shop, **fields).code == "input_invalid"
    assert not Contract.objects.exists()


def test_another_tenants_subscription_does_not_exist(shop):
    assert refused(contract, workspaces.workspace("other")).detail == "No subscription 'sub-1'."
    contract(shop)
    assert refused(contract, shop).code == "already_exists"
