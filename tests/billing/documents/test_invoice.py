"""The invoice's page and its trace: complete, the same bytes each time, safe whatever names say."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from babel import Locale

from aforo.kernel.periods import Period
from billing.documents.invoice import invoice_context, invoice_html, trace_html, trace_of
from tests.billing.builders import (
    MARCH,
    a_fee,
    a_grant,
    a_subscription,
    a_tenant,
    demo_subscription,
    drafted,
    issued,
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
        "Subtotal $135.70 Discount -$6.79 Sales tax (8.875 %) $11.44 Total $140.35 Due $140.35",
    ):
        assert said in text


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
