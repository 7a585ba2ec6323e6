"""Charges on a draft's page: tiers added in between, a model exchanged for another, and what is told beside a field."""

from __future__ import annotations

from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from billing.models import Charge, RatePlanVersion
from billing.pricing import price
from billing.pricing.terms import Billable
from billing.selectors.terms import charge_terms
from billing.services.catalog import charge_add, product_create, rate_plan_create, version_draft
from tests.workspaces import meter

from .hands import save

pytestmark = pytest.mark.slow

USAGE = {"code": "calls", "name": "Calls", "meter": "api.call"}


@pytest.fixture
def draft(tenant) -> RatePlanVersion:
    meter(tenant)
    product_create(tenant=tenant, code="api", name="API")
    rate_plan_create(tenant=tenant, product="api", code="standard", name="Standard")
    return version_draft(tenant=tenant, plan="standard")


def open_charge(page: Page, draft: RatePlanVersion, **charge: object) -> None:
    """A usage charge of the draft, on its page."""
    made = charge_add(tenant=draft.tenant, plan="standard", version=1, **USAGE, **charge)
    page.goto(f"/admin/billing/charge/{made.pk}/change/")


def add_tier(page: Page, index: int, up_to: str, unit_price: str) -> None:
    page.get_by_text("Add another Tier").click()
    page.locator(f"[name=tiers-{index}-up_to]").fill(up_to)
    page.locator(f"[name=tiers-{index}-unit_price]").fill(unit_price)


def price_of_15_000() -> Decimal:
    return price(Billable(units=Decimal(15_000)), charge_terms(Charge.objects.get())).amount


def test_a_tier_is_added_between_two(draft, signed_in_page: Page):
    page = signed_in_page
    tiers = [{"up_to": "1000", "unit_price": "0.010"}, {"unit_price": "0.005"}]
    open_charge(page, draft, model="GRADUATED", tiers=tiers)
    add_tier(page, 2, "10000", "0.008")
    save(page)
    expect(page.locator("#charges-group")).to_contain_text("0.01 to 1,000, then 0.008 to 10,000, then 0.005")
    # 1,000 x 0.010 + 9,000 x 0.008 + 5,000 x 0.005.
    assert price_of_15_000() == Decimal("107")


def test_an_end_changed_to_below_the_one_before_is_not_put_in_order(draft, signed_in_page: Page):
    page = signed_in_page
    tiers = [{"up_to": "1000", "unit_price": "1"}, {"up_to": "2000", "unit_price": "2"}, {"unit_price": "3"}]
    open_charge(page, draft, model="GRADUATED", tiers=tiers)
    page.locator("[name=tiers-1-up_to]").fill("500")
    save(page)
    row = page.locator("tr").filter(has=page.locator("[name=tiers-1-up_to]"))
    expect(row).to_contain_text("Is not above the tier before it")


def test_what_another_model_had_is_dropped_with_it(draft, signed_in_page: Page):
    page = signed_in_page
    open_charge(page, draft, model="PER_UNIT", unit_price="0.001")
    page.locator("[name=model]").select_option("GRADUATED")
    expect(page.locator("[name=unit_price]")).to_be_hidden()
    add_tier(page, 0, "", "0.005")
    save(page)
    expect(page.locator("#charges-group")).to_contain_text("Graduated")
    # 15,000 x 0.005.
    assert (Charge.objects.get().unit_price, price_of_15_000()) == (None, Decimal("75"))


def test_tiers_of_another_model_keep_their_ends_and_what_it_knows(draft, signed_in_page: Page):
    page = signed_in_page
    tiers = [
        {"up_to": "1000", "unit_price": "0.01", "flat_fee": "5"},
        {"unit_price": "0.005", "flat_fee": "9"},
    ]
    open_charge(page, draft, model="GRADUATED", tiers=tiers)
    page.locator("[name=model]").select_option("STAIRSTEP")
    expect(page.locator("[name=tiers-0-unit_price]")).to_be_hidden()
    save(page)
    expect(page.locator("#charges-group")).to_contain_text("5 to 1,000, then 9")
    # 15,000 are in the second step.
    assert price_of_15_000() == Decimal("9")


def test_a_tier_without_its_price_is_told_beside_it(draft, signed_in_page: Page):
    page = signed_in_page
    open_charge(page, draft, model="PER_UNIT", unit_price="0.001")
    page.locator("[name=model]").select_option("GRADUATED_PERCENTAGE")
    page.get_by_text("Add another Tier").click()
    page.locator("[name=tiers-0-flat_fee]").fill("5")
    save(page)
    row = page.locator("tr").filter(has=page.locator("[name=tiers-0-percent]"))
    expect(row.locator(".field-percent")).to_contain_text("required")
    page.locator("[name=tiers-0-percent]").fill("0")
    save(page)
    expect(page.locator("#charges-group")).to_contain_text("0 % + 5")
    assert price_of_15_000() == Decimal("5")


def test_a_meter_that_counts_is_refused_beside_it_for_dynamic_prices(draft, signed_in_page: Page):
    page = signed_in_page
    open_charge(page, draft, model="PER_UNIT", unit_price="0.001")
    page.locator("[name=model]").select_option("DYNAMIC")
    save(page)
    expect(page.locator(".field-meter")).to_contain_text("DYNAMIC needs SUM over the property with the price")


def test_a_missing_meter_and_a_taken_code_are_told_beside_their_fields(draft, signed_in_page: Page):
    page = signed_in_page
    charge_add(tenant=draft.tenant, plan="standard", version=1, **USAGE, model="PER_UNIT", unit_price="1")
    page.goto(f"/admin/billing/charge/add/?version={draft.pk}")
    page.locator("[name=code]").fill("calls")
    page.locator("[name=name]").fill("Calls")
    page.locator("[name=model]").select_option("PER_UNIT")
    page.locator("[name=unit_price]").fill("2")
    save(page)
    expect(page.locator(".field-meter")).to_contain_text("Choose the meter whose usage is charged.")
    page.locator("[name=meter]").select_option(label="api.call")
    save(page)
    expect(page.locator(".field-code")).to_contain_text("already")
    page.locator("[name=code]").fill("more-calls")
    save(page)
    expect(
        page.locator("#charges-group tbody tr.form-row, #charges-group [data-label=Charge]").first
    ).to_be_visible()
    assert list(Charge.objects.values_list("code", "position")) == [("calls", 1), ("more-calls", 2)]
