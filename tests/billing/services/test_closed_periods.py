"""After the close: corrections and late events end as lines of the next invoice, once, and every invoice can be proven."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aforo.kernel.clock import clock_at
from aforo.kernel.decimals import total
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, instant_text
from billing import loading, pipeline
from billing.models import BillRun, Contract, Invoice, InvoiceLine
from billing.selectors.subscriptions import billed_subscription_for
from billing.services.bill_runs import bill_run_start, bill_run_work
from billing.services.invoices import invoice_draft, invoice_issue, invoice_preview
from billing.services.verification import invoice_verify, ledger_verify
from metering.batch import store
from metering.services.archive import month_archive, month_restore
from metering.services.corrections import correction_periods, event_amend, event_void
from tests.billing.builders import a_fee, a_grant, a_subscription, drafted
from tests.metering.rows import call, submission
from tests.workspaces import Workspace, customer, meter, workspace

pytestmark = pytest.mark.django_db

PAGE = Path(__file__).parents[3] / "docs" / "metering" / "corrections.md"
NUMBERS = count()
A_CALL = {"code": "calls", "name": "Calls", "model": "PER_UNIT", "unit_price": Decimal("0.01")}


def month(number: int) -> Period:
    return Period(datetime(2026, number, 1, tzinfo=UTC), datetime(2026, number + 1, 1, tzinfo=UTC))


MARCH, APRIL, MAY, JUNE = map(month, (3, 4, 5, 6))


@pytest.fixture
def acme() -> Workspace:
    return workspace()


@pytest.fixture
def tokens(acme):
    return meter(acme.tenant, "tokens", "SUM", event_name="api.call")


def sent(acme, key: str, quantity, at: datetime, received_at: datetime | None = None, **more) -> None:
    """An event as the writer stores it, received when it happened unless said."""
    with clock_at(received_at or at):
        ((outcome,),) = store([submission(acme, call(key, quantity, timestamp=instant_text(at), **more))])
    assert outcome.verdict == "accepted"


def billed(acme, period: Period, days: int = 1) -> None:
    """The bill run of a month, so many days after its end."""
    with clock_at(period.end + timedelta(days=days)):
        run = bill_run_start(
            tenant=acme.tenant,
            starts_on=period.start.date(),
            ends_on=period.end.date(),
            is_queued=False,
        )
        assert bill_run_work(tenant=acme.tenant, run_id=run.pk).status == "COMPLETED"


def amend(acme, at: datetime, key: str = "k1", **changes):
    with clock_at(at):
        of = {"tenant": acme.tenant, "reason": "Counted twice by us.", "actor": "ada"}
        return event_amend(**of, key=key, changes=changes).correction


def void(acme, at: datetime, key: str = "k1"):
    with clock_at(at):
        return event_void(tenant=acme.tenant, key=key, reason="A test.", actor="ada").correction


def lines_of(period: Period, **of) -> list[tuple[str, str, str]]:
    """Of the month's invoice: description, quantity and amount of each line."""
    invoice = Invoice.objects.get(period_start=period.start, **of)
    return [
        (line.description, f"{line.quantity.normalize():f}", f"{line.amount:.2f}")
        for line in invoice.lines.all()
    ]


def sound(acme) -> None:
    """Every invoice follows from its sealed input, and the ledger adds up."""
    for invoice in Invoice.objects.filter(tenant=acme.tenant):
        assert invoice_verify(invoice) == []
    assert ledger_verify(acme.tenant) == []


@pytest.mark.promise("P25")
def test_amend_void_and_late_usage_after_the_close(acme, tokens):
    a_subscription(acme.customer, a_fee("50.00"), {**A_CALL, "meter": tokens})
    sent(acme, "k1", 700, MARCH.start + timedelta(days=9))
    sent(acme, "k2", 300, MARCH.start + timedelta(days=19))
    billed(acme, MARCH)
    # 1,000 calls at 0.01.
    assert lines_of(MARCH) == [("base", "1", "50.00"), ("Calls", "1000", "10.00")]
    march = Invoice.objects.get()
    sealed, rows = bytes(march.sealed_input), lines_of(MARCH)

    # Closed: 100 calls of k1 were none.
    amended = amend(acme, APRIL.start + timedelta(days=5), quantity=600)
    assert [(one.period, one.invoice) for one in correction_periods(amended)] == [(MARCH, "INV-000001")]
    sent(acme, "k3", 200, APRIL.start + timedelta(days=6))
    billed(acme, APRIL)
    assert lines_of(APRIL) == [
        ("base", "1", "50.00"),
        ("Calls", "200", "2.00"),
        ("Calls, 2026-03-01 to 2026-03-31 (INV-000001): amended k1", "-100", "-1.00"),
    ]
    line = InvoiceLine.objects.get(adjusts="INV-000001")
    assert line.corrections == [str(amended.pk)]

    # Closed twice over: k2 is void, and 50 calls of March come 60 days late.
    voided = void(acme, MAY.start + timedelta(days=2), "k2")
    sent(acme, "k4", 50, MARCH.end - timedelta(seconds=1), MAY.start + timedelta(days=29))
    billed(acme, MAY)
    assert lines_of(MAY) == [
        ("base", "1", "50.00"),
        ("Calls", "0", "0.00"),
        ("Calls, 2026-03-01 to 2026-03-31 (INV-000001): voided k2", "-250", "-2.50"),
    ]
    assert InvoiceLine.objects.get(invoice__period_start=MAY.start, quantity=-250).corrections == [
        str(voided.pk)
    ]

    # Only late usage, of two months.
    sent(acme, "k5", 7, APRIL.end - timedelta(days=1), JUNE.start + timedelta(days=3))
    sent(acme, "k6", 5, MAY.end - timedelta(days=1), JUNE.start + timedelta(days=3))
    billed(acme, JUNE)
    assert lines_of(JUNE)[2:] == [
        ("Calls, 2026-04-01 to 2026-04-30 (INV-000002): late usage", "7", "0.07"),
        ("Calls, 2026-05-01 to 2026-05-31 (INV-000003): late usage", "5", "0.05"),
    ]
    for period in (MARCH, APRIL, MAY, JUNE):
        shown = "\n".join(f"| {' | '.join(line)} |" for line in lines_of(period))
        assert shown in PAGE.read_text(), shown
    # 600 + 50 of March, 207 of April, 5 of May: 8.62.
    assert total(InvoiceLine.objects.filter(kind="USAGE_FEE").values_list("amount", flat=True)) == Decimal(
        "8.62"
    )
    # What was issued stays as it was.
    march.refresh_from_db()
    assert (bytes(march.sealed_input), lines_of(MARCH)) == (sealed, rows)
    sound(acme)


@pytest.mark.promise("P17", "P25")
def test_a_difference_is_billed_once_however_often_anybody_bills(acme, tokens):
    subscription = a_subscription(acme.customer, a_fee("50.00"), {**A_CALL, "meter": tokens})
    sent(acme, "k1", 1000, MARCH.start)
    billed(acme, MARCH)
    amend(acme, APRIL.start + timedelta(days=5), quantity=900)

    # Drafted out of order and again: April's draft has it, so May's has not; then May's, then April's alone.
    def drafted(period: Period) -> Decimal:
        invoice = invoice_draft(tenant=acme.tenant, subscription_id=subscription.pk, period=period)
        return total(invoice.lines.exclude(adjusts="").values_list("amount", flat=True))

    assert [drafted(APRIL), drafted(MAY), drafted(APRIL), drafted(MAY)] == [-1, 0, -1, 0]
    Invoice.objects.get(period_start=APRIL.start).lines.all().delete()
    Invoice.objects.get(period_start=APRIL.start).delete()
    assert [drafted(MAY), drafted(APRIL), drafted(MAY)] == [-1, 0, -1]

    for period in (APRIL, MAY, APRIL, MAY, JUNE):
        billed(acme, period)
    assert [line.amount for line in InvoiceLine.objects.exclude(adjusts="")] == [-1]
    preview = invoice_preview(tenant=acme.tenant, subscription_code="sub_1", at=JUNE.end)
    assert [line for line in preview.lines if line.adjusts] == []
    sound(acme)


def test_what_comes_between_draft_and_issue_is_on_the_next_invoice(acme, tokens):
    subscription = a_subscription(acme.customer, a_fee("50.00"), {**A_CALL, "meter": tokens})
    sent(acme, "k1", 1000, MARCH.start)
    draft = invoice_draft(tenant=acme.tenant, subscription_id=subscription.pk, period=MARCH)
    amend(acme, APRIL.start, quantity=900)
    sent(acme, "k2", 30, MARCH.end - timedelta(hours=1), APRIL.start)
    with clock_at(APRIL.start + timedelta(days=1)):
        invoice_issue(tenant=acme.tenant, invoice_id=draft.pk)

    billed(acme, APRIL)

    # −100 + 30
    assert lines_of(APRIL)[2:] == [
        ("Calls, 2026-03-01 to 2026-03-31 (INV-000001): amended k1", "-70", "-0.70")
    ]
    sound(acme)


def test_an_open_period_needs_no_adjustment(acme, tokens):
    subscription = a_subscription(acme.customer, {**A_CALL, "meter": tokens})
    sent(acme, "k1", 1000, MARCH.start)
    invoice_draft(tenant=acme.tenant, subscription_id=subscription.pk, period=MARCH)
    correction = amend(acme, APRIL.start, quantity=900)
    assert [one.is_open for one in correction_periods(correction)] == [True]

    billed(acme, MARCH)
    billed(acme, APRIL)

    assert lines_of(MARCH) == [("Calls", "900", "9.00")]
    assert not InvoiceLine.objects.exclude(adjusts="").exists()


def test_an_event_of_another_customer_moves_from_one_bill_to_the_other(acme, tokens):
    other = customer(acme.tenant, "cust_two")
    a_subscription(acme.customer, a_fee("50.00"), {**A_CALL, "meter": tokens})
    a_subscription(other, a_fee("50.00"), {**A_CALL, "meter": tokens}, code="sub_2")
    sent(acme, "k1", 1000, MARCH.start)
    billed(acme, MARCH)

    correction = amend(acme, APRIL.start, customer_id="cust_two")
    assert [(one.subscription, one.invoice) for one in correction_periods(correction)] == [
        ("sub_1", "INV-000001"),
        ("sub_2", "INV-000002"),
    ]
    billed(acme, APRIL)

    for code, amount in (("sub_1", "-10.00"), ("sub_2", "10.00")):
        (line,) = (line for line in lines_of(APRIL, subscription__code=code) if "amended k1" in line[0])
        assert line[2] == amount
    sound(acme)


def test_a_credit_waits_until_an_invoice_has_room_for_it(acme, tokens):
    a_subscription(acme.customer, a_fee("4.00"), {**A_CALL, "meter": tokens})
    sent(acme, "k1", 1000, MARCH.start)
    billed(acme, MARCH)
    void(acme, APRIL.start)
    for period in (APRIL, MAY, JUNE):
        billed(acme, period)

    # 10.00 back: 4.00, 4.00 and 2.00.
    amounts = (
        InvoiceLine.objects.exclude(adjusts="")
        .order_by("invoice__period_start")
        .values_list("amount", flat=True)
    )
    assert list(amounts) == [-4, -4, -2]
    april, may, june = Invoice.objects.filter(period_start__gte=APRIL.start).order_by("period_start")
    assert (april.total, april.status, may.total, june.total) == (0, "PAID", 0, 2)
    assert [issue["code"] for issue in april.issues] == ["credit_carried"]
    assert june.issues == []
    sound(acme)


def test_a_wallet_pays_what_late_usage_adds(acme, tokens):
    a_subscription(acme.customer, a_fee("4.00"), {**A_CALL, "meter": tokens}, mode="HYBRID")
    a_grant(acme.customer, "30.00")
    sent(acme, "k1", 100, MARCH.start)
    billed(acme, MARCH)
    sent(acme, "k2", 300, MARCH.start, APRIL.start + timedelta(days=3))
    billed(acme, APRIL)

    # 4.00 + 1.00 in March; 4.00 + 3.00 late in April.
    assert [invoice.wallet_amount for invoice in Invoice.objects.order_by("period_start")] == [5, 7]
    sound(acme)


def test_a_level_corrected_in_march_changes_april_too(acme):
    seats = meter(acme.tenant, "seats", "WEIGHTED_SUM", event_name="api.call")
    a_subscription(
        acme.customer,
        a_fee("500.00"),
        {"code": "seats", "name": "Seats", "model": "PER_UNIT", "unit_price": Decimal(1), "meter": seats},
    )
    sent(acme, "k1", 10, MARCH.start)
    billed(acme, MARCH)
    billed(acme, APRIL)

    amend(acme, MAY.start + timedelta(days=1), quantity=8)
    billed(acme, MAY)

    # 10 seats in both months were 8; May has 8 from the start.
    assert lines_of(MAY)[1:] == [
        ("Seats", "8", "8.00"),
        ("Seats, 2026-03-01 to 2026-03-31 (INV-000001): amended k1", "-2", "-2.00"),
        ("Seats, 2026-04-01 to 2026-04-30 (INV-000002): amended k1", "-2", "-2.00"),
    ]
    billed(acme, JUNE)
    assert len(lines_of(JUNE)) == 2
    sound(acme)


def test_an_archived_month_is_passed_over_until_something_in_it_is_known_to_have_changed(
    acme, settings, tmp_path
):
    settings.ARCHIVE_DIR = str(tmp_path)
    seats = meter(acme.tenant, "seats", "WEIGHTED_SUM", event_name="api.call")
    price = {"code": "seats", "name": "Seats", "model": "PER_UNIT", "unit_price": Decimal(1), "meter": seats}
    subscription = a_subscription(acme.customer, a_fee("500.00"), price)
    sent(acme, "k1", 10, MARCH.start)
    billed(acme, MARCH)
    billed(acme, APRIL)
    month_archive(month=MARCH.start.date())

    # A level could have come from before; nothing says that it did.
    billed(acme, MAY)
    assert lines_of(MAY)[1:] == [("Seats", "10", "10.00")]

    # 12 seats from 17 March on, 15 of 31 days, late: March is 10 + 2 x 15 / 31 = 10.967..., and nobody guesses it.
    sent(acme, "k2", 12, MARCH.start + timedelta(days=16), received_at=JUNE.start)
    with pytest.raises(Problem, match="archive restore 2026-03"), transaction.atomic():
        drafted(subscription, JUNE)

    month_restore(month=MARCH.start.date())
    billed(acme, JUNE)
    assert lines_of(JUNE)[2][0] == "Seats, 2026-03-01 to 2026-03-31 (INV-000001): late usage"
    assert lines_of(JUNE)[2][2] == "0.97"
    sound(acme)


def test_periods_whose_hours_are_cut_are_told_apart(acme, tokens):
    # March in Kolkata ends at 18:30Z: both events lie in the hour from 18:00Z, one in March and one in April.
    buyer = customer(acme.tenant, "cust_two", timezone="Asia/Kolkata")
    a_subscription(
        buyer,
        a_fee("50.00"),
        {**A_CALL, "meter": tokens},
        starts_at=datetime(2026, 2, 28, 18, 30, tzinfo=UTC),
        anchor_on=date(2026, 3, 1),
    )
    cut = datetime(2026, 3, 31, 18, 30, tzinfo=UTC)
    sent(acme, "k1", 100, cut - timedelta(minutes=1), customer_id="cust_two")
    billed(acme, MARCH)
    sent(acme, "k2", 7, cut, cut + timedelta(days=3), customer_id="cust_two")
    sent(acme, "k3", 5, cut - timedelta(seconds=1), cut + timedelta(days=3), customer_id="cust_two")
    billed(acme, APRIL)

    assert [line[1:] for line in lines_of(Period(cut, cut))[1:]] == [("7", "0.07"), ("5", "0.05")]


def test_an_unchanged_history_is_not_run_again(acme, tokens, django_assert_max_num_queries):
    subscription = a_subscription(acme.customer, {**A_CALL, "meter": tokens})
    for period in (MARCH, APRIL, MAY):
        sent(acme, f"k-{period.start.month}", 1000, period.start)
        billed(acme, period)
    found = billed_subscription_for(acme.tenant, pk=subscription.pk)
    state = loading.billing_state(tenant=acme.tenant, subscription=found, cycle=JUNE)

    assert state.closed == ()
    # What is asked of three closed periods is asked at once.
    with django_assert_max_num_queries(13):
        loading.billing_state(tenant=acme.tenant, subscription=found, cycle=JUNE)


STEP = st.tuples(
    st.sampled_from(["send", "late", "amend", "void", "bill"]),
    st.integers(0, 9),
    st.integers(0, 400),
    st.integers(0, 29),
)


@pytest.mark.slow
@pytest.mark.promise("P15", "P25")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, min_size=4, max_size=16))
def test_whatever_comes_and_is_corrected_each_month_bills_what_its_usage_comes_to(acme, steps):
    token = f"usage{next(NUMBERS)}"
    row = meter(acme.tenant, token, "SUM")
    buyer = customer(acme.tenant, token)
    subscription = a_subscription(
        buyer,
        a_fee("50.00"),
        {
            **A_CALL,
            "unit_price": None,
            "model": "GRADUATED",
            "included_units": 100,
            "tiers": [(Decimal(300), Decimal("0.013")), (None, Decimal("0.007"))],
            "meter": row,
        },
        code=token,
        starts_at=MARCH.start,
    )
    months = [MARCH, APRIL, MAY, JUNE, month(7), month(8)]
    place, keys, voided = 0, [], set()

    def bill() -> None:
        nonlocal place
        period = months[place]
        with clock_at(period.end + timedelta(hours=1)):
            draft = invoice_draft(tenant=acme.tenant, subscription_id=subscription.pk, period=period)
            invoice_issue(tenant=acme.tenant, invoice_id=draft.pk)
        place += 1

    for number, (kind, which, quantity, day) in enumerate(steps):
        present = months[place].start + timedelta(days=30)
        if kind == "bill" and place < 4:
            bill()
        elif kind in ("send", "late"):
            period = months[place] if kind == "send" else months[max(0, place - 1)]
            key = f"{token}-{number}"
            at = period.start + timedelta(days=day)
            sent(acme, key, quantity, at, max(at, present), metric=token, customer_id=token)
            keys.append(key)
        elif keys and (key := keys[which % len(keys)]) not in voided:
            if kind == "void":
                void(acme, present, key)
                voided.add(key)
            else:
                amend(acme, present, key, quantity=f"{quantity}.{number + 1}")
    bill()
    bill()

    # Each month's own lines and all adjustments of them are what a bill of the month would be today.
    found = billed_subscription_for(acme.tenant, pk=subscription.pk)
    invoices = Invoice.objects.filter(subscription=subscription).order_by("period_start")
    for invoice in invoices:
        cycle = Period(invoice.period_start, invoice.period_end)
        today = pipeline.run(loading.billing_state(tenant=acme.tenant, subscription=found, cycle=cycle))
        own = invoice.lines.filter(adjusts="")
        since = InvoiceLine.objects.filter(tenant=acme.tenant, adjusts=invoice.number)
        assert total(line.amount for line in (*own, *since)) == total(
            line.amount for line in today.lines if not line.adjusts
        )
        assert invoice.total >= 0
        assert invoice_verify(invoice) == []


def test_what_comes_after_the_end_of_a_subscription_is_billed_by_itself(acme, tokens):
    # Cancelled on 20 March: the month's fee for 20 of 31 days, and 100 calls.
    subscription = a_subscription(
        acme.customer,
        a_fee("31.00"),
        {**A_CALL, "meter": tokens},
        ends_at=datetime(2026, 3, 21, tzinfo=UTC),
    )
    Contract.objects.create(
        tenant=acme.tenant,
        code="deal",
        subscription=subscription,
        starts_on=MARCH.start.date(),
        minimum_amount=5,
    )
    sent(acme, "k1", 100, MARCH.start)
    billed(acme, MARCH)
    # Nothing has changed: no invoice, and no trace of the look.
    billed(acme, APRIL)
    assert [run.items.count() for run in BillRun.objects.order_by("started_at")] == [1, 0]
    with pytest.raises(Problem, match="had ended before"):
        invoice_preview(tenant=acme.tenant, subscription_code="sub_1", at=APRIL.start)

    sent(acme, "k2", 70, MARCH.start + timedelta(days=19), APRIL.end + timedelta(days=2))
    sent(acme, "k3", 500, MARCH.start + timedelta(days=22), APRIL.end + timedelta(days=2))
    billed(acme, MAY)
    billed(acme, JUNE)

    # The call of 23 March belongs to nobody's subscription any more; no fee and no minimum after the end.
    assert lines_of(MAY) == [("Calls, 2026-03-01 to 2026-03-31 (INV-000001): late usage", "70", "0.70")]
    assert Invoice.objects.count() == 2
    sound(acme)


def test_a_credit_after_the_end_waits_and_a_subscription_is_not_looked_at_for_ever(acme, tokens):
    a_subscription(acme.customer, {**A_CALL, "meter": tokens}, ends_at=datetime(2026, 3, 21, tzinfo=UTC))
    sent(acme, "k1", 100, MARCH.start)
    billed(acme, MARCH)
    void(acme, APRIL.start)
    for period in (APRIL, MAY, JUNE, month(7)):
        billed(acme, period)
    assert Invoice.objects.count() == 1

    sent(acme, "k2", 300, MARCH.start, MARCH.start + timedelta(days=89))
    # 21 March and 120 days is 19 July: the last period that is looked at begins on 1 July.
    billed(acme, month(8))
    assert Invoice.objects.count() == 1
    with clock_at(month(7).end + timedelta(days=3)):
        of = {"tenant": acme.tenant, "starts_on": date(2026, 7, 1), "ends_on": date(2026, 8, 1)}
        bill_run_work(tenant=acme.tenant, run_id=bill_run_start(**of, is_queued=False).pk)
    # 300 − 100 that were voided.
    assert lines_of(month(7)) == [("Calls, 2026-03-01 to 2026-03-31 (INV-000001): voided k1", "200", "2.00")]
    sound(acme)
