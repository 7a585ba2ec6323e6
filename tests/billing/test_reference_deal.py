"""The reference deal: a year of bill runs on a moved clock comes to the table in docs/billing/contracts.md, line by line."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.periods import month_later
from aforo.tenancy.models import Tenant
from billing.models import Contract, Invoice, Subscription
from billing.services.bill_runs import bill_run_start, bill_run_work
from billing.services.catalog import offering_create, product_create, rate_plan_draft, version_publish
from billing.services.contracts import contract_create
from billing.services.subscriptions import subscription_create
from billing.services.verification import invoice_verify, ledger_verify
from metering.models import MeterRow
from tests.billing.builders import a_tenant, used
from tests.workspaces import customer, meter

pytestmark = [pytest.mark.django_db, pytest.mark.slow]

PAGE = (Path(__file__).parents[2] / "docs/billing/contracts.md").read_text()
LINES = {
    "calls": ("USAGE_FEE", "calls"),
    "answers": ("USAGE_FEE", "answers"),
    "insights": ("CHARGE", "insights"),
    "discount": ("DISCOUNT", "acme-2026"),
    "api": ("TRUE_UP", "acme-2026:product:api"),
    "assistant": ("TRUE_UP", "acme-2026:product:assistant"),
    "whole": ("TRUE_UP", "acme-2026"),
}
PLANS = {
    "api": {"code": "calls", "name": "Calls", "model": "PER_UNIT", "meter": "api.call", "unit_price": "0.02"},
    "assistant": {
        "code": "answers",
        "name": "Answers",
        "model": "PER_UNIT",
        "meter": "assistant.answer",
        "unit_price": "0.10",
    },
    "insights": {
        "code": "insights",
        "name": "Insights",
        "kind": "FEE",
        "model": "FLAT_RATE",
        "amount": "3100",
    },
}


def table(first: str) -> list[dict[str, str]]:
    """The rows of the page's table whose first column is called so."""
    text = re.search(rf"^\| {first} \|.*?(?=\n\n)", PAGE, re.MULTILINE | re.DOTALL)[0]
    head, _, *rows = ([cell.strip() for cell in row.strip("|").split("|")] for row in text.splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


def amount(text: str) -> Decimal:
    return Decimal(text.replace(",", "").replace("−", "-"))


def sold(tenant: Tenant) -> Subscription:
    """cust_abc on the bundle of three products from 1 March 2026."""
    customer(tenant)
    for key in ("api.call", "assistant.answer"):
        meter(tenant, key, aggregation="SUM")
    for product, charge in PLANS.items():
        product_create(tenant=tenant, code=product, name=product.title())
        rate_plan_draft(tenant=tenant, code=product, product=product, name=product, charges=[charge])
        version_publish(tenant=tenant, plan=product, version=1)
    offering_create(tenant=tenant, code="all", name="All", kind="BUNDLE", plans=list(PLANS))
    return subscription_create(
        tenant=tenant, code="acme", customer="cust_abc", offering="all", starts_on=date(2026, 3, 1)
    )


def agreed(tenant: Tenant) -> Contract:
    """The contract that the page shows."""
    deal = json.loads(re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)[1])
    days = {name: date.fromisoformat(deal.pop(name)) for name in ("starts_on", "ends_on")}
    return contract_create(tenant=tenant, **days, **deal)


def billed(contract: Contract, month: date) -> Invoice:
    """The month's invoice, by a bill run on the second day after it."""
    tenant, following = contract.tenant, month_later(month, 1)
    with clock_at(datetime(following.year, following.month, 2, tzinfo=UTC)):
        run = bill_run_start(tenant=tenant, starts_on=month, ends_on=following, is_queued=False)
        assert bill_run_work(tenant=tenant, run_id=run.pk).status == "COMPLETED"
    return run.items.get().invoice


@pytest.mark.promise("P44", "P45", "P55")
def test_a_year_of_the_reference_deal_is_the_table_in_the_docs():
    with clock_at(datetime(2026, 2, 20, tzinfo=UTC)):
        contract = agreed(sold(a_tenant()).tenant)
    buyer = contract.subscription.customer
    meters = {row.key: row for row in MeterRow.objects.of(contract.tenant)}
    invoices = []
    for usage, row in zip(table("month"), table("invoice"), strict=True):
        month = date.fromisoformat(f"{row['invoice']}-01")
        at = datetime(month.year, month.month, 10, tzinfo=UTC)
        used(buyer, meters["api.call"], usage["calls used"].replace(",", ""), at)
        used(buyer, meters["assistant.answer"], usage["answers used"].replace(",", ""), at)
        invoice = billed(contract, month)
        expected = {LINES[name]: amount(row[name]) for name in LINES if row[name] != "–"}
        # May's fee of insights is a part of one.
        lines = [
            ((line.kind.replace("PRORATION", "CHARGE"), line.code), line.amount)
            for line in invoice.lines.all()
        ]
        assert (dict(lines), len(lines)) == (expected, len(expected)), row["invoice"]
        assert invoice.total == amount(row["total"]) == sum(expected.values())
        assert invoice.due_on == invoice.issued_at.date() + timedelta(days=60)
        invoices.append(invoice)
    assert [invoice_verify(invoice) for invoice in invoices] == [[]] * 12
    assert ledger_verify(contract.tenant) == []
    said = [
        (f"{invoice.period_start:%Y-%m}", issue["code"], issue["subject"])
        for invoice in invoices
        for issue in invoice.issues
    ]
    assert said == [
        ("2026-08", "minimum_undercut", "acme-2026"),
        ("2026-08", "minimum_undercut", "acme-2026:product:api"),
        ("2027-02", "minimum_undercut", "acme-2026"),
    ]
    assert sum(invoice.total for invoice in invoices) == Decimal("234399.98")
