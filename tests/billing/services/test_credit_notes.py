"""What is given back: never more than was billed, taxes and ledger with it, and each note once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import IntegrityError, connection, transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aforo.kernel.clock import clock_at, now
from aforo.kernel.decimals import total
from aforo.kernel.errors import Problem
from billing.models import CreditNote, CreditNoteLine, Invoice, TaxRate
from billing.selectors.credit_notes import due_left
from billing.selectors.ledger import trial_balance
from billing.selectors.wallets import wallet_balance_at
from billing.services.credit_notes import (
    credit_note_apply,
    credit_note_create,
    credit_note_drop,
    credit_note_issue,
)
from billing.services.verification import invoice_verify, ledger_verify
from tests.billing.builders import (
    APRIL_2,
    a_fee,
    a_grant,
    a_subscription,
    a_tenant,
    demo_subscription,
    drafted,
    issued,
    tampering,
)
from tests.workspaces import customer

pytestmark = pytest.mark.django_db
D = Decimal


def billed(fee: str = "100.00", rate: str = "19", *, is_inclusive: bool = False, **terms) -> Invoice:
    """A month's fee with a tax, issued; 119.00 in all."""
    tenant = a_tenant()
    TaxRate.objects.create(
        tenant=tenant,
        jurisdiction="DE",
        name="VAT",
        percent=D(rate),
        is_inclusive=is_inclusive,
        starts_on="2026-01-01",
    )
    buyer = customer(tenant, tax_jurisdiction="DE")
    if terms.get("mode"):
        a_grant(buyer, "500.00")
    return issued(a_subscription(buyer, a_fee(fee), **terms))


def credited(invoice: Invoice, *lines: tuple[int, str], reason: str = "An outage.") -> CreditNote:
    """Drafted and issued a day after the invoice. Without lines: all that is left."""
    asked = [(position, D(amount)) for position, amount in lines] or None
    with clock_at(APRIL_2 + timedelta(days=1)):
        note = credit_note_create(tenant=invoice.tenant, invoice=invoice.number, reason=reason, lines=asked)
        return credit_note_issue(tenant=invoice.tenant, note_id=note.pk)


def booked(note: CreditNote) -> dict[str, Decimal]:
    transactions = note.invoice.ledger_transactions.filter(reference__contains=str(note.pk))
    return {entry.account: entry.amount for each in transactions for entry in each.entries.all()}


def test_a_part_of_a_line_takes_its_tax_along():
    # 40.00 of 100.00: 19 % of the 60.00 that are left is 11.40, so 7.60 fall away.
    invoice = billed()
    note = credited(invoice, (1, "40.00"))
    assert (note.number, note.status) == ("CN-000001", "APPLIED")
    assert (note.net, note.tax, note.total, note.due_amount) == (D(40), D("7.60"), D("47.60"), D("47.60"))
    assert booked(note) == {"revenue": D(40), "tax_payable": D("7.60"), "receivable": D("-47.60")}
    invoice.refresh_from_db()
    assert (invoice.status, due_left(invoice)) == ("OPEN", D("71.40"))
    # The invoice itself is as it was.
    assert invoice_verify(invoice) == []
    assert ledger_verify(invoice.tenant) == []


def test_all_of_it_leaves_nothing_due_and_nothing_to_credit():
    invoice = billed()
    first, rest = credited(invoice, (1, "33.33")), credited(invoice)
    assert (first.total, rest.total) == (D("39.66"), D("79.34"))
    invoice.refresh_from_db()
    assert (invoice.status, due_left(invoice)) == ("PAID", D(0))
    with pytest.raises(Problem, match="Nothing is left of INV-000001"):
        credited(invoice)
    # Everything that was booked of it is back at zero.
    assert {row.account: row.balance for row in trial_balance(invoice.tenant).accounts} == {
        "receivable": 0,
        "revenue": 0,
        "tax_payable": 0,
    }


def test_a_price_that_contains_its_tax_gives_back_what_the_customer_paid():
    # 119.00 with 19 % in it: 59.50 given back are 50.00 and 9.50.
    note = credited(billed("119.00", is_inclusive=True), (1, "59.50"))
    assert (note.net, note.tax, note.total) == (D("59.50"), D("9.50"), D("59.50"))
    assert booked(note) == {"revenue": D(50), "tax_payable": D("9.50"), "receivable": D("-59.50")}


def test_the_discount_and_the_cap_of_an_invoice_are_given_back_with_it():
    # The demo's 140.35: lines of 135.70, −6.79 discount, 11.44 tax.
    invoice = issued(demo_subscription(a_tenant()))
    note = credited(invoice)
    assert (note.net, note.tax, note.total) == (D("128.91"), D("11.44"), D("140.35"))


def test_what_was_paid_already_goes_into_the_wallet_once():
    # Prepaid: nothing is due, so all 119.00 are left over.
    invoice = billed(mode="PREPAID")
    note = credited(invoice)
    assert (note.status, note.due_amount, note.wallet_amount) == ("ISSUED", 0, 0)
    for _ in range(2):
        note = credit_note_apply(tenant=invoice.tenant, note_id=note.pk)
    assert (note.status, note.wallet_amount) == ("APPLIED", D(119))
    assert wallet_balance_at(invoice.customer.wallets.get(), now()).balance == D(500)
    assert booked(note)["wallet_liability"] == D(-119)
    assert ledger_verify(invoice.tenant) == []


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ([(1, "100.01")], r"lines\[1\] is 100.01; up to 100 can be given back of it"),
        ([(1, "0")], r"lines\[1\] is 0"),
        ([(1, "-1")], r"lines\[1\] is -1"),
        ([(1, "0.001")], "the least amount of USD is 0.01"),
        ([(2, "1")], "names line 2, which the invoice does not bill"),
        ([(1, "1"), (1, "2")], "name a line twice"),
    ],
)
def test_what_was_not_billed_is_not_given_back(lines, sentence):
    invoice = billed()
    with pytest.raises(Problem, match=sentence):
        credited(invoice, *lines)
    assert not CreditNote.objects.exists()


def test_a_draft_invoice_bills_nothing_that_could_be_credited():
    invoice = drafted(a_subscription(customer(a_tenant()), a_fee()))
    with pytest.raises(Problem, match="A draft invoice bills nothing"):
        credit_note_create(tenant=invoice.tenant, invoice=str(invoice.pk), reason="No.")


def test_two_drafts_of_the_same_money_are_issued_once():
    invoice = billed()
    of = {"tenant": invoice.tenant, "invoice": invoice.number, "reason": "An outage."}
    drafts = [credit_note_create(**of, lines=[(1, D(60))]) for _ in range(2)]
    credit_note_issue(tenant=invoice.tenant, note_id=drafts[0].pk)
    assert credit_note_issue(tenant=invoice.tenant, note_id=drafts[0].pk).number == "CN-000001"
    with pytest.raises(Problem, match=r"up to 40 can be given back of it\. Drop this draft"):
        credit_note_issue(tenant=invoice.tenant, note_id=drafts[1].pk)
    credit_note_drop(tenant=invoice.tenant, note_id=drafts[1].pk)
    with pytest.raises(Problem, match="CN-000001 is issued and stays"):
        credit_note_drop(tenant=invoice.tenant, note_id=drafts[0].pk)


def test_the_database_keeps_an_issued_note_as_it_is():
    note = credited(billed(), (1, "40.00"))
    for change in (
        lambda: CreditNote.objects.update(total=D(1)),
        lambda: CreditNoteLine.objects.update(amount=D(1)),
        lambda: CreditNoteLine.objects.all().delete(),
    ):
        with (
            pytest.raises(IntegrityError, match="CN-000001 is issued and never changes"),
            transaction.atomic(),
        ):
            change()
    assert CreditNote.objects.get().total == note.total


@pytest.mark.promise("P50")
def test_a_changed_note_is_named():
    note = credited(billed(), (1, "40.00"))
    for change, sentence in (
        ({"total": D(1)}, "credit note CN-000001: content: hashes to"),
        ({"reason": "Another."}, "credit note CN-000001: content: hashes to"),
        ({"sequence": 2}, "credit note CN-000001: is number 2, and does not follow number 0"),
        ({"chain_hash": "0" * 64}, "credit note CN-000001: chain hash: hashes to"),
    ):
        with transaction.atomic():
            with tampering():
                CreditNote.objects.update(**change)
            assert any(found.startswith(sentence) for found in ledger_verify(note.tenant)), change
            transaction.set_rollback(True)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    fee=st.decimals("0.05", 1000, places=2),
    rate=st.sampled_from(["19", "8.875", "0"]),
    is_inclusive=st.booleans(),
    shares=st.lists(st.integers(1, 100), min_size=1, max_size=5),
)
def test_credits_in_parts_come_to_the_credit_of_all(fee, rate, is_inclusive, shares):
    with transaction.atomic():
        invoice = billed(str(fee), rate, is_inclusive=is_inclusive)
        left = fee
        notes = []
        for share in shares:
            part = (left * share / 100).quantize(D("0.01"))
            if 0 < part < left:
                notes.append(credited(invoice, (1, str(part))))
                left -= part
        notes.append(credited(invoice))
        assert total(note.total for note in notes) == invoice.total
        assert total(note.tax for note in notes) == invoice.tax
        assert all(note.tax >= 0 for note in notes)
        assert ledger_verify(invoice.tenant) == []
        transaction.set_rollback(True)


@pytest.mark.django_db(transaction=True)
def test_many_at_once_never_give_back_more_than_was_billed():
    # Six notes of 30.00 of a fee of 100.00: three find room, 90.00.
    invoice = billed()

    def one(_: int) -> str:
        try:
            return credited(invoice, (1, "30.00")).number
        except Problem as problem:
            return problem.code
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        outcomes = sorted(pool.map(one, range(6)))
    issued_notes = CreditNote.objects.filter(sequence__isnull=False)
    assert [outcome for outcome in outcomes if outcome.startswith("CN")] == [
        "CN-000001",
        "CN-000002",
        "CN-000003",
    ]
    assert total(note.net for note in issued_notes) == 90
    assert ledger_verify(invoice.tenant) == []
