"""An outside engine's taxes: asked once, kept for ever, and never asked inside a transaction or when recomputing."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from billing.models import BillingProfile, Invoice, TaxQuote, TaxRate
from billing.providers import http_tax
from billing.selectors.bill_runs import bill_run_progress
from billing.services import tax_quotes
from billing.services.bill_runs import bill_run_start, bill_run_work
from billing.services.invoices import invoice_preview
from billing.services.profiles import billing_profile_set
from billing.services.verification import invoice_verify
from tests.billing.builders import (
    APRIL_2,
    MARCH,
    a_fee,
    a_grant,
    a_subscription,
    a_tenant,
    drafted,
    issued,
    used,
)
from tests.billing.tax_engine import tax_engine
from tests.workspaces import customer, meter

pytestmark = pytest.mark.django_db

SECRET = "whsec_RVhBTVBMRUVYQU1QTEVFWEFNUExFRVhBTVBMRUU="


@pytest.fixture
def engine(monkeypatch):
    monkeypatch.setattr(http_tax, "PAUSE_FIRST_S", 0.01)
    with tax_engine() as running:
        yield running


@pytest.fixture
def tenant(engine):
    tenant = a_tenant()
    billing_profile_set(tenant=tenant, tax_engine="http", tax_engine_url=engine.url, tax_engine_secret=SECRET)
    return tenant


@pytest.mark.promise("P46")
def test_the_engines_answer_is_on_the_invoice_and_in_its_proof(tenant, engine):
    buyer = customer(tenant, country="US", tax_jurisdiction="US-NY", timezone="America/New_York")
    # The table has no say beside an engine.
    TaxRate.objects.create(
        tenant=tenant, jurisdiction="US-NY", name="x", percent="50", starts_on=date(2026, 1, 1)
    )
    invoice = issued(a_subscription(buyer, a_fee("100.00")))
    assert (invoice.tax, invoice.total) == (10, 110)
    (asked,) = engine.asked
    assert (asked["customer"], asked["country"], asked["on"]) == ("cust_abc", "US", "2026-03-31")
    assert [(line["code"], line["product"], line["amount"]) for line in asked["lines"]] == [
        ("base", "api", "100")
    ]
    (quote,) = TaxQuote.objects.all()
    assert (quote.reference, quote.taxes[0]["amount"]) == ("tx_1", "10")

    # Years later there is neither engine nor profile.
    BillingProfile.objects.update(tax_engine="", tax_engine_url="")
    assert invoice_verify(Invoice.objects.get()) == []
    assert len(engine.asked) == 1


def test_the_same_question_is_asked_once(tenant, engine):
    subscription = a_subscription(customer(tenant), a_fee("100.00"))
    first, again = drafted(subscription), drafted(subscription)
    assert first.result_hash == again.result_hash
    assert len(engine.asked) == 1
    invoice_preview(tenant=tenant, subscription_code=subscription.code, at=MARCH.start)
    assert len(engine.asked) == 1


def test_other_lines_are_another_question(tenant, engine):
    calls = meter(tenant, "calls", "SUM")
    buyer = customer(tenant)
    charge = {"code": "calls", "meter": calls, "model": "PER_UNIT", "unit_price": "1"}
    subscription = a_subscription(buyer, charge)
    used(buyer, calls, "5")
    # 5.00 and 10 % of it.
    assert drafted(subscription).total == Decimal("5.50")
    used(buyer, calls, "5", at=MARCH.start)
    assert drafted(subscription).total == 11
    assert len(engine.asked) == 2


def test_an_exempt_customer_is_not_asked_about(tenant, engine):
    assert drafted(a_subscription(customer(tenant, is_tax_exempt=True), a_fee())).tax == 0
    assert engine.asked == []


def test_a_wallet_pays_the_engines_tax_at_issue(tenant, engine):
    buyer = customer(tenant)
    subscription = a_subscription(buyer, a_fee("100.00"), mode="HYBRID")
    a_grant(buyer, "50.00")
    invoice = issued(subscription)
    assert (invoice.wallet_amount, invoice.due_amount, len(engine.asked)) == (50, 60, 1)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"status": 500}, "The tax engine was asked 3 times: it answered 500."),
        ({"status": 404}, "The tax engine refused the question with 404."),
        ({"answer": b"<html>"}, "The tax engine answered something else than taxes"),
        (
            {"answer": b'{"currency": "EUR", "taxes": []}'},
            "The tax engine answered in 'EUR', and the invoice is in USD.",
        ),
    ],
)
def test_without_an_answer_the_invoice_waits_and_is_drafted_later(tenant, engine, answer, said):
    subscription = a_subscription(customer(tenant), a_fee("100.00"))
    for name, value in answer.items():
        setattr(engine, name, value)
    with pytest.raises(Problem) as caught:
        drafted(subscription)
    assert caught.value.code == "state_conflict"
    assert caught.value.detail.startswith(said)
    assert caught.value.detail.endswith("The invoice waits; draft it again once the engine answers.")
    assert (Invoice.objects.count(), TaxQuote.objects.count()) == (0, 0)
    engine.status, engine.answer = 200, None
    assert drafted(subscription).total == 110


def test_an_answer_never_changes(tenant):
    drafted(a_subscription(customer(tenant), a_fee()))
    for change in (lambda: TaxQuote.objects.update(reference="x"), lambda: TaxQuote.objects.all().delete()):
        with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
            change()


def test_of_two_answers_the_first_stands(tenant, engine):
    drafted(a_subscription(customer(tenant), a_fee("100.00")))
    question = TaxQuote.objects.get().question
    engine.answer = b'{"currency": "USD", "reference": "tx_2", "taxes": []}'
    assert tax_quotes.tax_quote_ask(tenant=tenant, question=question).reference == "tx_1"


# --- in a bill run


def run_of(tenant):
    with clock_at(APRIL_2):
        run = bill_run_start(
            tenant=tenant, is_queued=False, starts_on=date(2026, 3, 1), ends_on=date(2026, 4, 1)
        )
        return bill_run_work(tenant=tenant, run_id=run.pk)


def test_a_bill_run_asks_for_each_invoice(tenant, engine):
    for name in ("cust_a", "cust_b", "cust_c"):
        a_subscription(customer(tenant, name), a_fee("100.00"), code=name)
    run = run_of(tenant)
    assert run.status == "COMPLETED"
    assert [invoice.total for invoice in Invoice.objects.all()] == [110, 110, 110]
    assert len(engine.asked) == 3


def test_an_engine_that_is_down_holds_up_nobody_else(tenant, engine):
    a_subscription(customer(tenant, "cust_exempt", is_tax_exempt=True), a_fee("100.00"), code="exempt")
    for name in ("cust_a", "cust_b"):
        a_subscription(customer(tenant, name), a_fee("100.00"), code=name)
    engine.status = 500
    run = run_of(tenant)
    assert run.status == "FAILED"
    progress = bill_run_progress(run)
    assert (progress.issued, progress.failed) == (1, 2)
    # One question tells that nobody answers.
    assert len(engine.asked) == http_tax.ATTEMPTS
    assert {item.error for item in run.items.filter(status="FAILED")} == {
        "The tax engine was asked 3 times: it answered 500. The invoice waits; draft it again once the engine answers."
    }
    engine.status = 200
    run = run_of(tenant)
    assert run.status == "COMPLETED"
    assert Invoice.objects.filter(total=110, status="OPEN").count() == 2


def test_one_question_that_is_refused_fails_alone(tenant, engine):
    for name in ("cust_a", "cust_b"):
        a_subscription(customer(tenant, name), a_fee("100.00"), code=name)
    usual = engine.reply

    def picky(body):
        return (422, b"") if b"cust_a" in body else usual(body)

    engine.reply = picky
    progress = bill_run_progress(run_of(tenant))
    assert (progress.issued, progress.failed) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_the_engine_is_asked_with_nothing_locked(engine, monkeypatch):
    tenant = a_tenant("quoted")
    billing_profile_set(tenant=tenant, tax_engine="http", tax_engine_url=engine.url)
    subscription = a_subscription(customer(tenant), a_fee("100.00"))
    inside = []
    ask = tax_quotes.tax_quote_ask

    def watched(**asked):
        inside.append(connection.in_atomic_block)
        return ask(**asked)

    monkeypatch.setattr(tax_quotes, "tax_quote_ask", watched)
    monkeypatch.setattr("billing.services.bill_runs.tax_quote_ask", watched)
    drafted(subscription)
    a_subscription(customer(tenant, "cust_b"), a_fee("100.00"), code="sub_2")
    run_of(tenant)
    assert inside == [False, False]
