"""The invoice's page and its trace: complete, the same bytes each time, safe whatever names say."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from babel import Locale

from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer
from billing.documents.invoice import invoice_context, invoice_html, trace_html, trace_of
from billing.models import BillingProfile, TaxExemption
from billing.services.verification import invoice_verify
from tests.billing.builders import (
    MARCH,
    a_fee,
    a_grant,
    a_subscription,
    a_tenant,
    demo_subscription,
    drafted,
    issued,
    tampering,
    used,
)
from tests.workspaces import customer, meter

pytestmark = pytest.mark.django_db


def page(invoice, **options):
    return invoice_html(invoice, invoice.lines.all(), invoice.taxes.all(), **options)


def text_of(html):
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.DOTALL).split())


@pytest.mark.promise("P17")
def test_the_page_says_what_is_due_and_why():
    text = text_of(page(issued(demo_subscription(a_tenant()))))
    for said in (
        "INV-000001 OPEN",
        "Period Mar 1, 2026 – Mar 31, 2026 (UTC) Issued Apr 2, 2026 Due May 2, 2026",
        "input 22,361,870 $49.72 Tier 1 10,000,000 × 0.0000025 = 25 Tier 2 12,361,870 × 0.000002 = 24.72374",
        "49.72374 is printed as 49.72 (rounded half up).",
        "4,088,665 metered − 500,000 free (500,000 included, 0 taken over) = 3,588,665 billable.",
        "Welcome -$6.79",
        "Subtotal $135.70 Discount -$6.79 Sales tax (8.875 % of $128.91) $11.44 Total $140.35 Due $140.35",
    ):
        assert said in text


def test_the_page_names_both_vat_numbers_and_why_there_is_no_tax():
    tenant = a_tenant()
    BillingProfile.objects.create(tenant=tenant, legal_name="Acme", country="DE", vat_number="DE136695976")
    buyer = customer(tenant, country="FR", vat_number="FR40303265045", currency="EUR")
    invoice = issued(a_subscription(buyer, a_fee()))
    # What is known of them since does not change the page.
    BillingProfile.objects.update(vat_number="DE129274202")
    Customer.objects.update(vat_number="FR83404833048")
    text = text_of(page(invoice))
    for said in (
        "VAT number DE136695976",
        "VAT number FR40303265045",
        "Subtotal €100.00 VAT €0.00 Total €100.00",
        "Reverse charge: VAT is to be accounted for by the customer (Art. 196 of Directive 2006/112/EC).",
    ):
        assert said in text
    assert invoice_verify(invoice) == []
    with tampering():
        invoice.taxes.update(note="No tax.")
    assert [said.partition(":")[0] for said in invoice_verify(invoice)] == ["tax 1"]


def test_the_page_names_the_certificate():
    tenant = a_tenant()
    buyer = customer(tenant, tax_jurisdiction="US-NY")
    TaxExemption.objects.create(
        tenant=tenant, customer=buyer, number="120", reason="resale", starts_on=date(2026, 1, 1)
    )
    text = text_of(page(issued(a_subscription(buyer, a_fee()))))
    assert "Exempt $0.00 Total $100.00" in text
    assert "Exempt from tax by certificate 120 (resale)." in text


def test_the_page_speaks_the_readers_locale():
    text = text_of(page(issued(demo_subscription(a_tenant())), locale=Locale("de")))
    assert "140,35 $" in text.replace("\xa0", " ")
    assert "22.361.870" in text


def test_the_same_invoice_gives_the_same_bytes():
    subscription = demo_subscription(a_tenant())
    first, second = page(drafted(subscription)), page(drafted(subscription))
    assert first == second


def test_a_wallets_part_is_shown():
    buyer = customer(a_tenant())
    a_grant(buyer, "30.00")
    text = text_of(page(issued(a_subscription(buyer, a_fee(), mode="HYBRID"))))
    assert "Total $100.00 Paid from wallet -$30.00 Due $70.00" in text


def test_names_are_text_and_nothing_else():
    tenant = a_tenant()
    buyer = customer(tenant)
    buyer.name = '<script>alert("1")</script>'
    buyer.save()
    invoice = issued(a_subscription(buyer, a_fee(name="<img src=x>")))
    for html in (page(invoice), trace_html(invoice)):
        assert "<script" not in html
        assert "<img" not in html


def test_nothing_is_fetched_from_elsewhere():
    invoice = issued(demo_subscription(a_tenant()))
    for html in (page(invoice), trace_html(invoice)):
        assert not re.search(r"https?:|src=|@import|url\(", html)


@pytest.mark.promise("P50")
def test_the_trace_names_the_ten_stages_in_order():
    invoice = issued(demo_subscription(a_tenant()))
    assert [stage.name for stage in trace_of(invoice)] == [
        "Quota Check",
        "Rollover",
        "Aggregate",
        "Allowance",
        "Rate",
        "Commit",
        "Discount",
        "Tax",
        "Route",
        "Settle",
    ]
    text = text_of(trace_html(invoice))
    assert "1. Quota Check Nothing to do." in text
    assert "US-NY Sales tax: 8.875 % of 128.91 is 11.44." in text
    assert "receivable 140.35 is booked." in text


def test_a_line_that_adjusts_an_earlier_month_says_how_and_this_months_line_does_not():
    tenant = a_tenant()
    tokens = meter(tenant, "tokens", "SUM")
    buyer = customer(tenant)
    charge = {"code": "calls", "model": "PER_UNIT", "unit_price": Decimal("0.01"), "meter": tokens}
    subscription = a_subscription(buyer, a_fee(), charge)
    used(buyer, tokens, "1000")
    issued(subscription)
    used(buyer, tokens, "50", at=datetime(2026, 3, 11, tzinfo=UTC))
    used(buyer, tokens, "200", at=datetime(2026, 4, 11, tzinfo=UTC))

    april = issued(subscription, Period(MARCH.end, datetime(2026, 5, 1, tzinfo=UTC)))

    said = "INV-000001 and later invoices billed 10; what is known now comes to 10.5: 0.5."
    context = invoice_context(april, april.lines.all(), april.taxes.all())
    calls, late = context["lines"][1:]
    assert (late["quantity"], late["amount"], late["why"]) == ("50", "$0.50", [said])
    assert said not in calls["why"]
    assert "calls, 2026-03-01 to 2026-03-31 (INV-000001): late usage 50 $0.50" in text_of(page(april))
