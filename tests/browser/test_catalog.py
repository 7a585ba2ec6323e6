"""From nothing to an invoice in the browser: meter, plan with three tiers, subscription, bill run."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from playwright.sync_api import Locator, Page, expect

from aforo.kernel.clock import now
from aforo.kernel.periods import month_later
from aforo.tenancy.models import Customer, Tenant
from billing.models import BillRun, RatePlanVersion
from billing.services.bill_runs import bill_run_work
from metering.models import MeterRow
from tests.billing.builders import used

from .hands import add, choose, open_row, press, save

pytestmark = pytest.mark.slow

# Volume and graduated price of 15,000 calls differ: 75.00 and 107.00.
TIERS = (("1000", "0.010"), ("10000", "0.008"), ("", "0.005"))


def fill_tiers(
    page: Page, tiers: tuple[tuple[str, ...], ...], terms: tuple[str, ...] = ("up_to", "unit_price")
) -> None:
    for index, tier in enumerate(tiers):
        if not page.locator(f"[name=tiers-{index}-up_to]").count():
            page.locator("#tiers-group .add-row").click()
        for term, value in zip(terms, tier, strict=True):
            page.locator(f"[name=tiers-{index}-{term}]").fill(value)


def tier(page: Page, index: int) -> Locator:
    return page.locator("tr").filter(has=page.locator(f"[name=tiers-{index}-up_to]"))


def a_draft(page: Page, plan: str = "standard") -> None:
    """A meter, a product and a plan; ends on the page of the plan's first draft."""
    add(page, "metering/meterrow", key="api.call", name="API calls")
    page.locator("[name=aggregation]").select_option("SUM")
    save(page)
    add(page, "billing/product", code="api", name="API")
    save(page)
    add(page, "billing/rateplan", code=plan, name="Standard")
    page.locator("[name=product]").select_option(label="API")
    save(page)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Standard v1 (draft)")


def sell(page: Page, mode: str = "POSTPAID") -> None:
    add(page, "billing/offering", code="standard", name="Standard")
    page.get_by_label("Standard").check()
    page.locator("[name=billing_mode]").select_option(mode)
    save(page)


def subscribe(page: Page) -> datetime:
    """A customer on the offering since the month before last; returns an instant of last month."""
    add(page, "tenancy/customer", external_id="cust_abc", name="Abc Ltd.")
    save(page)
    last_month = month_later(now().date().replace(day=1), -1)
    add(page, "billing/subscription", code="sub-1", starts_on=f"{month_later(last_month, -1)}")
    choose(page, "customer", "cust_abc")
    page.locator("[name=offering]").select_option(label="Standard")
    save(page)
    expect(page.locator("#result_list")).to_contain_text("ACTIVE")
    return datetime(last_month.year, last_month.month, 10, tzinfo=UTC)


def bill(page: Page, tenant: Tenant) -> None:
    """Last month's bill run, which the form offers first; ends on the page of its invoice."""
    page.goto("/admin/billing/billrun/add/")
    save(page)
    expect(page.locator("#bill-run")).to_contain_text("RUNNING")
    # What the workers do; the page asks every two seconds.
    bill_run_work(tenant=tenant, run_id=BillRun.objects.get().pk)
    expect(page.locator("#bill-run")).to_contain_text("COMPLETED")
    page.locator("#bill-run").get_by_role("link", name="INV-000001").click()


def a_base_fee(page: Page, amount: str) -> None:
    page.get_by_role("link", name="Add charge").click()
    page.locator("[name=code]").fill("base")
    page.locator("[name=name]").fill("Base fee")
    page.locator("[name=kind]").select_option("FEE")
    # A fee is a flat rate: neither meter nor tiers nor unit price stand on the page.
    for hidden in ("meter", "model", "unit_price", "percent", "tiers-0-up_to"):
        expect(page.locator(f"[name={hidden}]")).to_be_hidden()
    page.locator("[name=amount]").fill(amount)
    save(page)


def a_usage_charge(page: Page, code: str, model: str, **fields: str) -> None:
    page.get_by_role("link", name="Add charge").click()
    page.locator("[name=code]").fill(code)
    page.locator("[name=name]").fill(code.title())
    page.locator("[name=meter]").select_option(label="api.call")
    page.locator("[name=model]").select_option(model)
    for name, value in fields.items():
        page.locator(f"[name={name}]").fill(value)


@pytest.mark.promise("P54", "P59")
def test_from_nothing_to_an_invoice(tenant, signed_in_page: Page):
    # 15,000 calls in last month, graduated: 1,000 x 0.010 + 9,000 x 0.008 + 5,000 x 0.005 = 107.00.
    page = signed_in_page
    expect(page.locator("#content")).to_contain_text("0 of 8 done")
    a_draft(page)
    a_usage_charge(page, "calls", "GRADUATED")
    fill_tiers(page, TIERS)
    save(page)
    expect(page.locator("#charges-group")).to_contain_text("0.01 to 1,000, then 0.008 to 10,000, then 0.005")
    press(page, "Publish")
    expect(page.get_by_text("Version 1 of Standard is published")).to_be_visible()
    expect(page.get_by_role("link", name="Add charge")).to_have_count(0)

    sell(page)
    last_month = subscribe(page)
    used(Customer.objects.get(), MeterRow.objects.get(), "15000", at=last_month)
    bill(page, tenant)
    invoice = page.locator("#invoice")
    expect(invoice).to_contain_text("1,000 × 0.01 = 10")
    expect(invoice).to_contain_text("9,000 × 0.008 = 72")
    expect(invoice).to_contain_text("5,000 × 0.005 = 25")
    expect(page.locator("#due")).to_have_text("$107.00")

    # A new version for new customers; whoever has the first one keeps it, also once it is archived.
    page.goto("/admin/billing/rateplanversion/")
    open_row(page)
    press(page, "New version")
    expect(page.get_by_role("heading", level=1)).to_contain_text("Standard v2 (draft)")
    press(page, "Publish")
    expect(page.get_by_text("Version 2 of Standard is published")).to_be_visible()
    page.goto("/admin/billing/rateplanversion/")
    open_row(page, "version 1")
    press(page, "Archive")
    expect(page.get_by_text("Version 1 of Standard is archived.")).to_be_visible()
    page.goto("/admin/billing/subscription/")
    expect(page.locator("#result_list")).to_contain_text("Standard v1 (archived)")

    page.goto("/admin/")
    expect(page.locator("[data-figure=Invoices]")).to_contain_text("1 open")


def test_a_wrong_tier_is_told_beside_it(tenant, signed_in_page: Page):
    page = signed_in_page
    a_draft(page)
    a_usage_charge(page, "calls", "GRADUATED")
    fill_tiers(page, (("1000", "0.010"), ("500", "0.008"), ("", "0.005")))
    save(page)
    expect(tier(page, 1)).to_contain_text("Is not above the tier before it, 1000.")
    fill_tiers(page, (("1000", "0.010"), ("10000", "0.008"), ("20000", "0.005")))
    save(page)
    expect(tier(page, 2)).to_contain_text("units above it have no price, leave it open")
    # What was right is still there; mended, it is saved.
    fill_tiers(page, TIERS)
    save(page)
    expect(page.locator("#charges-group")).to_contain_text("0.01 to 1,000")


SHARES = (("10000", "3", "5", ""), ("100000", "2", "", "1500"), ("", "1", "", ""))
STEPS = (("10", "50"), ("50", "200"), ("", "500"))
NINE = {
    "PER_UNIT": {"unit_price": "0.0000025", "included_units": "1000"},
    "GRADUATED": {},
    "VOLUME_TIERED": {},
    "PERCENTAGE": {"percent": "2.5", "minimum_fee": "5"},
    "INCLUDED_QUOTA": {"unit_price": "0.10", "block_size": "100", "included_units": "1000"},
    "PACKAGE": {"package_size": "100", "package_price": "5", "included_units": "100"},
    "STAIRSTEP": {},
    "GRADUATED_PERCENTAGE": {},
    "DYNAMIC": {"multiplier": "1.15"},
}


@pytest.mark.promise("P53")
def test_each_of_the_ten_models(tenant, signed_in_page: Page):
    page = signed_in_page
    a_draft(page)
    a_base_fee(page, "499")
    for model, terms in NINE.items():
        a_usage_charge(page, model.lower(), model, **terms)
        if model in {"GRADUATED", "VOLUME_TIERED"}:
            fill_tiers(page, TIERS)
        elif model == "STAIRSTEP":
            # A step has its flat fee alone.
            for term in ("unit_price", "percent", "cap"):
                expect(page.locator(f"[name=tiers-0-{term}]")).to_be_hidden()
            fill_tiers(page, STEPS, ("up_to", "flat_fee"))
        elif model == "GRADUATED_PERCENTAGE":
            expect(page.locator("[name=tiers-0-unit_price]")).to_be_hidden()
            fill_tiers(page, SHARES, ("up_to", "percent", "flat_fee", "cap"))
        save(page)
        expect(page.locator("#charges-group")).to_contain_text(model.lower().title())
    for price in (
        "5 a package of 100",
        "50 to 10, then 200 to 50, then 500",
        "3 % + 5 to 10,000, then 2 % to 100,000 (at most 1,500), then 1 %",
        "1.15 × the prices of the events",
    ):
        expect(page.locator("#charges-group")).to_contain_text(price)
    press(page, "Publish")
    expect(page.get_by_text("Version 1 of Standard is published")).to_be_visible()
    charges = RatePlanVersion.objects.get(status="PUBLISHED").charges
    assert set(charges.values_list("model", flat=True)) == {"FLAT_RATE", *NINE}
    assert charges.get(model="PER_UNIT").unit_price == Decimal("0.0000025")
    # A published charge is read, and no more.
    page.get_by_role("link", name="Graduated", exact=True).click()
    expect(page.locator("#tiers-group")).to_contain_text("0.008")
    expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
    expect(page.locator("#tiers-group .field-percent").first).to_be_hidden()


@pytest.mark.promise("P97")
def test_a_hybrid_plan_is_paid_from_the_wallet_first(tenant, signed_in_page: Page):
    # 600,000 calls, 500,000 included, 0.0012 each beyond: 499.00 + 120.00 = 619.00, of which the wallet pays 100.00.
    page = signed_in_page
    a_draft(page)
    a_base_fee(page, "499")
    a_usage_charge(page, "calls", "PER_UNIT", unit_price="0.0012", included_units="500000")
    save(page)
    press(page, "Publish")
    expect(page.get_by_text("Version 1 of Standard is published")).to_be_visible()
    sell(page, "HYBRID")
    last_month = subscribe(page)
    add(page, "billing/wallet")
    choose(page, "customer", "cust_abc")
    page.get_by_role("button", name="Save and view").click()
    page.get_by_role("link", name=re.compile("Grant$")).click()
    page.locator("#dialog [name=amount]").fill("0.001")
    page.locator("#dialog").get_by_role("button", name="Grant").click()
    expect(page.locator("#dialog")).to_contain_text("the least amount of USD is 0.01")
    page.locator("#dialog [name=amount]").fill("100.00")
    page.locator("#dialog").get_by_role("button", name="Grant").click()
    expect(page.get_by_text("$100.00 are in the wallet.")).to_be_visible()
    used(Customer.objects.get(), MeterRow.objects.get(), "600000", at=last_month)
    bill(page, tenant)
    totals = page.locator("#invoice table").last
    for figure in ("$619.00", "-$100.00", "$519.00"):
        expect(totals).to_contain_text(figure)
