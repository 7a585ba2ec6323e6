"""bill_run, verify_invoice and verify_ledger as they are typed."""

from __future__ import annotations

import json

import pytest
from django.core.management import CommandError, call_command

from billing.models import BillRun, Contract, Invoice, InvoiceLine
from billing.selectors.periods import month_window
from billing.services.bill_runs import bill_run_start
from tests.billing.builders import a_fee, a_subscription, a_tenant, demo_subscription, issued, tampering
from tests.workspaces import customer

pytestmark = pytest.mark.django_db


def printed(capsys, *words, **options):
    call_command(*words, **options)
    return capsys.readouterr().out


def test_bill_run_drafts_then_finalizes_and_prints_what_it_did(capsys):
    tenant = a_tenant()
    a_subscription(customer(tenant), a_fee())
    said = printed(capsys, "bill_run", "--tenant", "acme_corp", "--period", "2026-03")
    assert said == "Bill run 2026-03-01 to 2026-04-01: 1 periods, 1 drafted.\n"
    answer = json.loads(printed(capsys, "bill_run", "--period", "2026-03", "--finalize", "--json"))
    assert answer["progress"] == {"total": 1, "pending": 0, "drafted": 0, "issued": 1, "failed": 0}
    assert Invoice.objects.get().number == "INV-000001"


def test_bill_run_ends_with_1_and_says_what_failed(capsys):
    tenant = a_tenant()
    subscription = a_subscription(customer(tenant), a_fee())
    Contract.objects.create(
        tenant=tenant, code="deal", subscription=subscription, currency="EUR", starts_on="2026-01-01"
    )
    with pytest.raises(SystemExit) as ended:
        call_command("bill_run", "--period", "2026-03")
    assert ended.value.code == 1
    assert "cust_abc, sub_1: The contract 'deal' is in EUR" in capsys.readouterr().out


def test_bill_run_resumes_only_what_is_under_way():
    a_tenant()
    with pytest.raises(CommandError, match="No bill run of 2026-03 is under way"):
        call_command("bill_run", "--period", "2026-03", "--resume")


def test_bill_run_resumes_a_run_that_lost_its_process(capsys):
    tenant = a_tenant()
    a_subscription(customer(tenant), a_fee())
    starts_on, ends_on = month_window("2026-03")
    run = bill_run_start(tenant=tenant, starts_on=starts_on, ends_on=ends_on, is_queued=False)
    with pytest.raises(CommandError, match="A bill run from 2026-03-01 to 2026-04-01 is under way"):
        call_command("bill_run", "--period", "2026-03")
    call_command("bill_run", "--period", "2026-03", "--resume")
    assert BillRun.objects.get(pk=run.pk).status == "COMPLETED"


@pytest.mark.parametrize("period", ["March", "2026-13", "2026", "2026-03-01"])
def test_bill_run_says_how_a_month_is_written(period):
    a_tenant()
    with pytest.raises(CommandError, match="is no month; write it like 2026-03"):
        call_command("bill_run", "--period", period)


def test_bill_run_helps_with_an_example(capsys):
    with pytest.raises(SystemExit):
        call_command("bill_run", "--help")
    assert "manage.py bill_run --tenant acme_corp --period 2026-03 --finalize" in " ".join(
        capsys.readouterr().out.split()
    )


@pytest.mark.promise("P50")
def test_verify_invoice_compares_one_or_all(capsys):
    invoice = issued(demo_subscription(a_tenant()))
    for words in ((invoice.number,), (str(invoice.pk),), ("--all",)):
        assert printed(capsys, "verify_invoice", *words) == "1 verified, 0 differ.\n"
    with tampering():
        InvoiceLine.objects.filter(code="base").update(amount=0)
    with pytest.raises(SystemExit) as ended:
        call_command("verify_invoice", "--all", "--json")
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out) == {
        "invoices": 1,
        "differences": {"INV-000001": ["line 1: amount is 0, and 49.09 follows from the input"]},
    }


def test_verify_invoice_wants_to_know_which():
    a_tenant()
    with pytest.raises(CommandError, match="Say which invoice"):
        call_command("verify_invoice")
    with pytest.raises(CommandError, match="No invoice 'INV-000001'"):
        call_command("verify_invoice", "INV-000001")


def test_verify_ledger_prints_the_trial_balance(capsys):
    issued(a_subscription(customer(a_tenant()), a_fee()))
    assert printed(capsys, "verify_ledger").split("\n") == [
        "receivable                    100.0000 USD",
        "revenue                      -100.0000 USD",
        "0 differences.",
        "",
    ]
    with tampering():
        Invoice.objects.update(previous_hash="0" * 64)
    with pytest.raises(SystemExit):
        call_command("verify_ledger", "--json")
    answer = json.loads(capsys.readouterr().out)
    assert answer["accounts"][0] == {
        "account": "receivable",
        "currency": "USD",
        "debit": "100.0000",
        "credit": "0",
        "balance": "100.0000",
    }
    assert len(answer["differences"]) == 2
