"""Late events and corrections beside drafts and issues of the next months: every difference is billed once in the end."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from django.db import connections

from aforo.kernel.clock import clock_at
from aforo.kernel.decimals import total
from aforo.kernel.periods import Period, instant_text
from billing.models import Invoice, InvoiceLine
from billing.services.invoices import invoice_draft, invoice_issue
from billing.services.verification import invoice_verify, ledger_verify
from metering.batch import store
from metering.services.corrections import event_amend, event_void
from tests.billing.builders import a_fee, a_subscription
from tests.metering.rows import call, submission
from tests.workspaces import meter, workspace

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

MONTHS = [
    Period(datetime(2026, number, 1, tzinfo=UTC), datetime(2026, number + 1, 1, tzinfo=UTC))
    for number in range(3, 12)
]
MARCH = MONTHS[0]
ROUNDS = 24


def test_what_changes_while_the_next_months_are_billed_is_billed_once():
    acme = workspace()
    tokens = meter(acme.tenant, "tokens", "SUM", event_name="api.call")
    calls = {"code": "calls", "name": "Calls", "model": "PER_UNIT", "unit_price": Decimal("0.01")}
    subscription = a_subscription(acme.customer, a_fee("500.00"), {**calls, "meter": tokens})

    def late(number: int, quantity: int) -> None:
        at = instant_text(MARCH.start + timedelta(hours=number))
        store([submission(acme, call(f"k{number}", quantity, timestamp=at))])

    def issue(period: Period) -> None:
        # Drafted twice, as by two workers; what came in between is on one of them.
        for _ in range(2):
            draft = invoice_draft(tenant=acme.tenant, subscription_id=subscription.pk, period=period)
        invoice_issue(tenant=acme.tenant, invoice_id=draft.pk)

    def change() -> None:
        of = {"tenant": acme.tenant, "reason": "A race.", "actor": "test"}
        for number in range(ROUNDS):
            late(number, 100)
            if number % 3 == 1:
                event_amend(**of, key=f"k{number}", changes={"quantity": 70})
            if number % 3 == 2:
                event_void(**of, key=f"k{number}")

    def bill() -> None:
        for period in MONTHS[1:-1]:
            issue(period)

    with clock_at(MARCH.end):
        late(ROUNDS, 1000)
        issue(MARCH)
    together(change, bill)
    with clock_at(MONTHS[-1].end):
        issue(MONTHS[-1])

    # 1,000 were invoiced in time; of 24 late ones a third stayed 100, a third became 70, and a third is void: 1,360.
    march = Invoice.objects.get(period_start=MARCH.start)
    assert march.lines.get(code="calls").amount == 10
    adjusting = InvoiceLine.objects.exclude(adjusts="")
    assert {line.adjusts for line in adjusting} == {march.number}
    assert total(line.amount for line in adjusting) == Decimal("13.60")
    assert total(line.quantity for line in adjusting) == 1360
    for invoice in Invoice.objects.all():
        assert invoice_verify(invoice) == []
    assert ledger_verify(acme.tenant) == []


def together(*works: Callable[[], None]) -> None:
    """Do all at once, each in a thread with a connection of its own; all must come to their end."""
    ended = []

    def run(work: Callable[[], None]) -> None:
        try:
            with clock_at(MARCH.end + timedelta(days=20)):
                work()
            ended.append(work)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=[work]) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ended) == len(works)
