"""Contracts: terms of one subscription, one at a time, with figures that make sense."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from aforo.kernel.clock import clock_at, now
from aforo.kernel.errors import Problem
from billing.models import Contract
from billing.selectors.contracts import undercuts
from billing.services.contracts import contract_create, contract_terminate, contracts_renew
from billing.services.subscriptions import subscription_cancel
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


MINIMUM = {"amount": "1200", "period": "year"}


@pytest.mark.parametrize(
    ("rows", "field", "sentence"),
    [
        ({"commitments": [{**MINIMUM, "amount": "0.005"}]}, "commitments[0].amount", "is 0.005"),
        ({"commitments": [{**MINIMUM, "amount": "-1"}]}, "commitments[0].row", "zero or more"),
        (
            {"commitments": [{**MINIMUM, "period": "month", "true_up": "quarter"}]},
            "commitments[0].true_up",
            "is a quarter, which is longer than the period, a month.",
        ),
        (
            {"commitments": [{**MINIMUM, "kind": "MAXIMUM", "true_up": "month"}]},
            "commitments[0].true_up",
            "a maximum holds on every invoice",
        ),
        (
            {"commitments": [{**MINIMUM, "product": "standard", "meter": "api.call"}]},
            "commitments[0].row",
            "about a product or about a meter, not both",
        ),
        ({"commitments": [MINIMUM, MINIMUM]}, "commitments[1].row", "one minimum and one maximum of a scope"),
        (
            {"commitments": [MINIMUM], "minimum_amount": "5"},
            "commitments[0].kind",
            "is the whole contract's minimum a second time",
        ),
        # 1,200 a year are 100 a month.
        (
            {"commitments": [MINIMUM, {"kind": "MAXIMUM", "amount": "99", "period": "month"}]},
            "commitments[1].amount",
            "the minimum of a scope is at most its maximum",
        ),
        ({"commitments": [MINIMUM], "maximum_amount": "99"}, "commitments[0].amount", "at most its maximum"),
        ({"discounts": [{"percent": "0"}]}, "discounts[0].row", "above 0 and up to 100 percent"),
        ({"discounts": [{"percent": "5"}, {"percent": "6"}]}, "discounts[1].row", "a step at this threshold"),
        (
            {"prices": [{"charge": "tokens", "model": "PER_UNIT", "terms": {"unit_price": "1"}}]},
            "prices[0].charge",
            "'tokens' is none of the subscription's; they are base, calls.",
        ),
        (
            {"prices": [{"charge": "calls", "model": "PER_UNIT", "terms": {"percent": "1"}}]},
            "prices[0].terms",
            "terms.unit_price is missing",
        ),
        (
            {"prices": [{"charge": "base", "model": "PER_UNIT", "terms": {"unit_price": "1"}}]},
            "prices[0].model",
            "of a recurring fee is FLAT_RATE.",
        ),
        (
            {"prices": [{"charge": "calls", "model": "DYNAMIC", "terms": {}}]},
            "prices[0].model",
            "DYNAMIC needs SUM",
        ),
        ({"trials": [{"product": "standard", "days": 0}]}, "trials[0].row", "a day or more"),
        ({"renewal_months": 0}, "row", "renewed by a month or more"),
        ({"renewal_months": 12, "ends_on": None}, "row", "What is renewed has an end"),
    ],
)
def test_terms_that_cannot_be_are_refused_at_their_place(shop, rows, field, sentence):
    problem = refused(contract, shop, **rows)
    assert problem.code == "input_invalid"
    assert sentence in str(problem.facts["errors"].get(field)), problem.facts
    assert not Contract.objects.exists()


@pytest.mark.parametrize(
    "rows",
    [
        {"commitments": [{**MINIMUM, "product": "apj"}]},
        {"discounts": [{"percent": "5", "meter": "api.cal"}]},
        {"trials": [{"product": "assistant", "days": 90}]},
    ],
)
def test_what_a_term_is_about_must_be_there(shop, rows):
    assert refused(contract, shop, **rows).code == "not_found"


def test_a_discount_that_may_undercut_a_minimum_is_said_when_it_is_agreed(shop):
    terms = {
        "minimum_amount": "100",
        "discount_percent": "10",
        "discounts": [{"percent": "5", "threshold": "1000"}],
    }
    # 100 x 0.90 x 0.95.
    (sentence,) = undercuts(contract(shop, **terms))
    assert sentence.startswith(
        "Up to 14.5 % off can bring what is paid to 85.50 USD, below the minimum of 100.00"
    )


def test_a_discount_of_another_product_undercuts_no_minimum(shop):
    catalogs.published(shop.tenant, plan="other")
    rows = {
        "commitments": [{**MINIMUM, "product": "standard"}],
        "discounts": [{"percent": "5", "product": "other"}],
    }
    assert undercuts(contract(shop, **rows)) == []


# --- renewal


def at(*day: int) -> datetime:
    return datetime(*day, tzinfo=UTC)


def test_it_is_renewed_when_its_notice_has_run_out(shop):
    made = contract(shop, renewal_months=12, notice_days=30)
    # 30 days before 1 January 2027 is 2 December 2026.
    assert contracts_renew(tenant=shop.tenant, as_of=at(2026, 12, 1)) == 0
    assert contracts_renew(tenant=shop.tenant, as_of=at(2026, 12, 2)) == 1
    assert contracts_renew(tenant=shop.tenant, as_of=at(2026, 12, 2)) == 0
    made.refresh_from_db()
    assert made.ends_on == date(2028, 1, 1)
    assert [(each.starts_on, each.ends_on) for each in made.renewals.all()] == [
        (date(2027, 1, 1), date(2028, 1, 1))
    ]


def test_renewals_that_were_missed_are_made_up_and_do_not_drift(shop):
    made = contract(shop, ends_on=date(2026, 1, 31), renewal_months=1)
    assert contracts_renew(tenant=shop.tenant, as_of=at(2026, 4, 1)) == 3
    made.refresh_from_db()
    assert [each.ends_on for each in made.renewals.all()] == [
        date(2026, 2, 28),
        date(2026, 3, 31),
        date(2026, 4, 30),
    ]


def test_what_was_terminated_in_time_ends_with_its_term(shop):
    contract(shop, renewal_months=12, notice_days=30)
    with clock_at(at(2026, 12, 1)):
        ended = contract_terminate(tenant=shop.tenant, code="c-1")
        assert contract_terminate(tenant=shop.tenant, code="c-1").terminated_at == ended.terminated_at
    assert contracts_renew(tenant=shop.tenant, as_of=at(2027, 6, 1)) == 0


def test_notice_that_comes_too_late_is_refused(shop):
    contract(shop, renewal_months=12, notice_days=30)
    with clock_at(at(2026, 12, 2)):
        problem = refused(contract_terminate, tenant=shop.tenant, code="c-1")
    assert problem.detail == (
        "Notice for the end on 2027-01-01 was due before 2026-12-02; the contract is renewed for another term."
    )


def test_an_open_contract_ends_on_the_day_that_is_named(shop):
    contract(shop, ends_on=None)
    with clock_at(at(2026, 5, 5)):
        assert "is missing" in refused(contract_terminate, tenant=shop.tenant, code="c-1").detail
        problem = refused(contract_terminate, tenant=shop.tenant, code="c-1", ends_on=date(2026, 5, 5))
        assert "end it after 2026-05-05" in problem.detail
        ended = contract_terminate(tenant=shop.tenant, code="c-1", ends_on=date(2026, 7, 1))
    assert ended.ends_on == date(2026, 7, 1)


def test_nothing_is_renewed_over_another_contract_or_without_its_subscription(shop):
    contract(shop, renewal_months=12)
    contract(shop, "c-2", starts_on=date(2027, 6, 1), ends_on=None)
    assert contracts_renew(tenant=shop.tenant, as_of=at(2027, 1, 1)) == 0
    catalogs.subscribed(shop.tenant, "sub-2")
    contract(shop, "c-3", subscription="sub-2", renewal_months=12)
    subscription_cancel(tenant=shop.tenant, code="sub-2", at=now())
    assert contracts_renew(tenant=shop.tenant, as_of=at(2027, 1, 1)) == 0
