"""Whatever is changed behind the product's back is found, and named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.db.models import F

from aforo.kernel.canonical import sha256_hex
from aforo.kernel.periods import Period
from billing.models import Invoice, InvoiceLine, InvoiceSequence, InvoiceTax, LedgerEntry, WalletBurn
from billing.services.verification import invoice_verify, ledger_verify
from metering.batch import store
from metering.services.archive import month_archive
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
)
from tests.metering.rows import call, submission
from tests.workspaces import customer, meter, workspace

pytestmark = [pytest.mark.django_db, pytest.mark.promise("P49", "P50")]

FEBRUARY = Period(datetime(2026, 2, 1, tzinfo=UTC), MARCH.start)


def differences(invoice, change):
    with tampering():
        change()
    return invoice_verify(Invoice.objects.get(pk=invoice.pk))


def test_a_sound_invoice_has_no_difference():
    invoice = issued(demo_subscription(a_tenant()))
    assert invoice_verify(Invoice.objects.get(pk=invoice.pk)) == []
    assert ledger_verify(invoice.tenant) == []


def test_a_draft_is_recomputed_too():
    invoice = drafted(demo_subscription(a_tenant()))
    assert invoice_verify(Invoice.objects.get(pk=invoice.pk)) == []


def test_a_wallets_part_is_compared():
    buyer = customer(a_tenant())
    a_grant(buyer, "30.00")
    invoice = issued(a_subscription(buyer, a_fee(), mode="HYBRID"))
    assert invoice_verify(Invoice.objects.get(pk=invoice.pk)) == []
    (found,) = differences(invoice, lambda: WalletBurn.objects.update(amount=Decimal("29.99")))
    assert found.startswith("wallet burn ")
    assert found.endswith(": is 29.99, and 30 follows from the input")


def test_every_byte_of_the_sealed_input_counts():
    invoice = issued(a_subscription(customer(a_tenant()), a_fee()))
    sealed = bytes(invoice.sealed_input)
    for place in range(0, len(sealed), 7):
        flipped = sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :]
        found = differences(invoice, lambda: Invoice.objects.update(sealed_input=flipped))  # noqa: B023 - called at once
        assert found[0].startswith("sealed input: hashes to "), place


def test_a_sealed_input_with_its_hash_forged_gives_another_result():
    invoice = issued(demo_subscription(a_tenant()))
    sealed = bytes(invoice.sealed_input).replace(b'"49.09"', b'"49.08"')
    found = differences(
        invoice, lambda: Invoice.objects.update(sealed_input=sealed, input_hash=sha256_hex(sealed))
    )
    assert found[0].startswith("result: hashes to ")
    assert "line 1: amount is 49.09, and 49.08 follows from the input" in found
    assert any(sentence.startswith("chain hash: ") for sentence in found)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda: InvoiceLine.objects.filter(code="input").update(amount=Decimal("49.73")),
            "line 2: amount is 49.73, and 49.72 follows from the input",
        ),
        (
            lambda: InvoiceLine.objects.filter(code="base").update(description="Base fee"),
            "line 1: description is Base fee, and base follows from the input",
        ),
        (
            lambda: InvoiceLine.objects.filter(code="welcome").delete(),
            "line: 4 are stored, 5 follow from the input",
        ),
        (
            lambda: InvoiceTax.objects.update(percent=Decimal("8.874")),
            "tax 1: percent is 8.874, and 8.875 follows from the input",
        ),
        (
            lambda: Invoice.objects.update(total=F("total") - 1, due_amount=F("due_amount") - 1),
            "invoice: total is 139.35, and 140.35 follows from the input",
        ),
        (
            lambda: LedgerEntry.objects.filter(account="revenue").update(amount=Decimal("-135.69")),
            "ledger entry revenue USD: is -135.69, and -135.7 follows from the input",
        ),
        (
            lambda: Invoice.objects.update(trace=[{"stage": "quota"}]),
            "trace: differs from the recomputed one at entry 1",
        ),
    ],
)
def test_a_changed_row_is_named(change, sentence):
    invoice = issued(demo_subscription(a_tenant()))
    assert sentence in differences(invoice, change)


@pytest.mark.parametrize(
    "change",
    [
        {"number": "INV-000009"},
        {"due_on": date(2027, 1, 1)},
        {"issued_at": datetime(2026, 5, 1, tzinfo=UTC)},
        {"result_hash": "0" * 64},
        {"previous_hash": "0" * 64},
        {"chain_hash": "0" * 64},
    ],
)
def test_the_chain_holds_what_was_issued_and_when(change):
    invoice = issued(a_subscription(customer(a_tenant()), a_fee()))
    with tampering():
        Invoice.objects.update(**change)
    stored = Invoice.objects.get(pk=invoice.pk)
    assert any(sentence.startswith("chain hash: ") for sentence in invoice_verify(stored))
    assert any("chain hash" in sentence for sentence in ledger_verify(invoice.tenant))


def two_invoices():
    subscription = a_subscription(customer(a_tenant()), a_fee())
    return issued(subscription, FEBRUARY), issued(subscription)


def test_a_removed_invoice_leaves_a_gap():
    first, second = two_invoices()
    with tampering(), connection.cursor() as cursor:
        for table in ("ledgerentry", "ledgertransaction", "invoiceline", "invoice"):
            where = {
                "ledgerentry": "transaction_id IN (SELECT id FROM billing_ledgertransaction WHERE invoice_id = %s)",
                "invoice": "id = %s",
            }.get(table, "invoice_id = %s")
            cursor.execute(f"DELETE FROM billing_{table} WHERE {where}", [first.pk])
    assert ledger_verify(second.tenant) == [
        "invoice INV-000002: is number 2 and follows number 0",
        "invoice INV-000002: does not name the chain hash of the invoice before",
    ]


def test_the_last_invoice_cannot_be_cut_off_unseen():
    first, second = two_invoices()
    with tampering():
        Invoice.objects.filter(pk=second.pk).update(sequence=None)
    assert ledger_verify(first.tenant) == ["sequence: ends at number 2, and the invoices at 1"]


def test_a_turned_back_sequence_is_named():
    first, _ = two_invoices()
    InvoiceSequence.objects.update(last_number=1, head_hash=first.chain_hash)
    assert ledger_verify(first.tenant) == ["sequence: ends at number 1, and the invoices at 2"]


def test_a_ledger_off_balance_is_named():
    invoice = issued(a_subscription(customer(a_tenant()), a_fee()), at=MARCH.end + timedelta(days=1))
    with tampering():
        LedgerEntry.objects.filter(account="revenue").update(amount=Decimal("-99.00"))
    assert ledger_verify(invoice.tenant) == ["trial balance: off by 1 USD"]


def test_an_invoice_is_proven_without_the_events_it_counted(settings, tmp_path):
    # 3 different paths of 10 calls, at 1.00 each, counted from the events themselves.
    settings.ARCHIVE_DIR = str(tmp_path)
    acme = workspace()
    paths = meter(acme.tenant, "paths", aggregation="UNIQUE", event_name="api.call", value_property="path")
    charge = {"code": "paths", "meter": paths, "model": "PER_UNIT", "unit_price": "1.00"}
    calls = [call(f"k{n}", path=f"/{n % 3}") for n in range(10)]
    store([submission(acme, calls, received_at=MARCH.start + timedelta(days=9))])
    invoice = issued(a_subscription(acme.customer, charge))
    assert invoice.total == Decimal("3.00")

    month_archive(month=MARCH.start.date())

    assert invoice_verify(Invoice.objects.get(pk=invoice.pk)) == []
