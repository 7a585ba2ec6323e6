"""The reference deal of docs/billing/contracts.md, entered in the admin by hand."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from billing.models import Contract
from tests.billing.test_reference_deal import sold

from .hands import add, choose, save

pytestmark = pytest.mark.slow


def add_row(page: Page, rows: str, index: int, chosen: dict[str, str], **written: str) -> None:
    """One more row of a table of the form. chosen: what its lists show."""
    page.locator(f"#{rows}-group .add-row").click()
    for name, label in chosen.items():
        page.locator(f"[name={rows}-{index}-{name}]").select_option(label=label)
    for name, value in written.items():
        page.locator(f"[name={rows}-{index}-{name}]").fill(value)


@pytest.mark.promise("P55")
def test_the_reference_deal_is_entered_by_hand(tenant, signed_in_page: Page):
    page = signed_in_page
    sold(tenant)
    add(
        page,
        "billing/contract",
        code="acme-2026",
        starts_on="2026-03-01",
        ends_on="2027-03-01",
        payment_terms_days="60",
    )
    choose(page, "subscription", "acme")
    yearly = {"kind": "Minimum", "period": "Year", "true_up": "Quarter"}
    add_row(page, "commitments", 0, yearly, amount="240000")
    add_row(page, "commitments", 1, {**yearly, "product": "Api"}, amount="100000")
    add_row(page, "commitments", 2, {**yearly, "product": "Assistant"}, amount="80000")
    calls = {"meter": "api.call", "threshold_meter": "api.call"}
    add_row(page, "discounts", 0, calls, percent="10", threshold="500000")
    add_row(page, "trials", 0, {"product": "Insights"}, days="90")
    save(page)
    expect(page.locator("body")).to_contain_text("below the minimum of 240000.00")
    deal = Contract.objects.get()
    assert {
        (row.product and row.product.code, row.amount, row.true_up) for row in deal.commitments.all()
    } == {
        (None, 240000, "quarter"),
        ("api", 100000, "quarter"),
        ("assistant", 80000, "quarter"),
    }
    assert (deal.discounts.get().percent, deal.discounts.get().threshold) == (10, 500000)
    assert (deal.trials.get().product.code, deal.trials.get().days, deal.payment_terms_days) == (
        "insights",
        90,
        60,
    )
