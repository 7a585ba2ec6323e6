"""Fees in advance: billed with the invoice before their period, and settled by the period's own."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from billing.models import Coupon, CouponRedemption, Invoice, Offering
from billing.services.catalog import offering_create
from billing.services.invoices import invoice_draft, invoice_issue, invoice_preview, invoice_start
from billing.services.subscription_items import subscription_change
from billing.services.subscriptions import subscription_cancel, subscription_move
from billing.services.verification import invoice_verify
from tests import catalogs, workspaces
from tests.billing.builders import MARCH, issued

pytestmark = pytest.mark.django_db

D = Decimal
NOON = datetime(2026, 3, 15, 12, tzinfo=UTC)


def month(number: int) -> Period:
    return Period(datetime(2026, number, 1, tzinfo=UTC), datetime(2026, number + 1, 1, tzinfo=UTC))


APRIL, MAY, JUNE = map(month, (4, 5, 6))


def a_fee(amount: str, **columns: object) -> dict[str, object]:
    given = {"code": "base", "name": "Base", "kind": "FEE", "model": "FLAT_RATE", "timing": "ADVANCE"}
    return {**given, "amount": amount, **columns}


@pytest.fixture
def shop() -> workspaces.Workspace:
    """Starter at 30.00 and Pro at 60.00 a month in advance, and a fee of 1.00 in arrears."""
    made = workspaces.workspace()
    arrears = a_fee("1.00", code="seat", name="Seat", timing="ARREARS")
    catalogs.published(made.tenant, "starter", charges=[a_fee("30.00"), arrears])
    catalogs.published(made.tenant, "pro", charges=[a_fee("60.00"), arrears])
    offering_create(tenant=made.tenant, code="api", name="API", plans=["starter", "pro"], setup_fee=D("9.00"))
    return made


def subscribed(shop, **fields):
    with clock_at(NOON):
        return catalogs.subscribed(
            shop.tenant, offering="api", plan="starter", **{"starts_on": date(2026, 3, 1), **fields}
        )


def started(shop) -> Invoice:
    with clock_at(NOON):
        return invoice_start(tenant=shop.tenant, subscription_code="sub-1")


def changed(shop, at: datetime, **fields) -> None:
    with clock_at(NOON):
        subscription_change(tenant=shop.tenant, code="sub-1", at=at, **fields)


def billed(subscription, period: Period) -> list[tuple[str, Decimal, str]]:
    invoice = issued(subscription, period, at=period.end)
    assert invoice_verify(invoice) == []
    return shown(invoice)


def shown(invoice: Invoice) -> list[tuple[str, Decimal, str]]:
    """Without the fee in arrears."""
    lines = invoice.lines.exclude(code__startswith="seat")
    return [(line.code, line.amount, line.description) for line in lines]


def test_each_invoice_bills_the_period_after_it(shop):
    subscription = subscribed(shop)
    start = started(shop)
    assert (start.kind, str(start.last_on), shown(start)) == (
        "START",
        "2026-03-01",
        [("api", D("9.00"), "Setup fee, API"), ("base", D("30.00"), "Base, 2026-03-01 to 2026-03-31")],
    )
    with clock_at(NOON):
        assert invoice_verify(invoice_issue(tenant=shop.tenant, invoice_id=start.pk)) == []
    assert billed(subscription, MARCH) == [("base", D("30.00"), "Base, 2026-04-01 to 2026-04-30")]
    assert billed(subscription, APRIL) == [("base", D("30.00"), "Base, 2026-05-01 to 2026-05-31")]


def test_without_an_invoice_of_the_start_the_first_period_bills_both(shop):
    subscription = subscribed(shop, starts_on=date(2026, 3, 17), anchor_on=date(2026, 3, 1))
    # 17 March to 1 April is 15 of 31 days: 30.00 × 15/31 = 14.516… -> 14.52.
    assert billed(subscription, MARCH) == [
        ("api", D("9.00"), "Setup fee, API"),
        ("base", D("14.52"), "Base (15 of 31 days)"),
        ("base", D("30.00"), "Base, 2026-04-01 to 2026-04-30"),
    ]
    with pytest.raises(Problem, match=r"The first period .* has an invoice"):
        started(shop)


def test_an_upgrade_is_settled_by_what_was_billed_in_advance(shop):
    # 15 of 30 days each: 30.00 were billed for Starter's April, which comes to 15.00; Pro's to 30.00.
    subscription = subscribed(shop)
    billed(subscription, MARCH)
    changed(shop, APRIL.start.replace(day=16), to_plan="pro")
    assert billed(subscription, APRIL) == [
        ("base", D("30.00"), "Base (15 of 30 days)"),
        ("base", D("60.00"), "Base, 2026-05-01 to 2026-05-31"),
        (
            "base@starter-v1",
            D("-15.00"),
            "Base, starter v1, 2026-04-01 to 2026-04-30: changed since it was billed in advance",
        ),
    ]


def test_a_quantity_that_grew_is_an_extra(shop):
    subscription = subscribed(shop)
    billed(subscription, MARCH)
    changed(shop, APRIL.start.replace(day=16), quantity=D(3))
    # 30.00 × 15/30 + 3 × 30.00 × 15/30 = 60.00, of which 30.00 is billed.
    assert [amount for _, amount, _ in billed(subscription, APRIL)] == [D("90.00"), D("30.00")]


@pytest.mark.parametrize("steps", [("pro", "starter"), ("starter",)])
def test_a_change_and_back_at_once_settles_nothing(shop, steps):
    subscription = subscribed(shop)
    billed(subscription, MARCH)
    for plan in steps:
        changed(shop, APRIL.start.replace(day=16), to_plan=plan)
    assert [amount for _, amount, _ in billed(subscription, APRIL)] == [D("30.00")]


def test_a_pause_gives_its_days_back(shop):
    subscription = subscribed(shop)
    billed(subscription, MARCH)
    for day, to in ((11, "PAUSED"), (21, "ACTIVE")):
        with clock_at(APRIL.start.replace(day=day)):
            subscription_move(tenant=shop.tenant, code="sub-1", to=to)
    # 10 of 30 days of 30.00.
    assert [amount for _, amount, _ in billed(subscription, APRIL)] == [D("30.00"), D("-10.00")]


def test_nobody_gets_back_more_than_was_billed_after_its_discount(shop):
    # Half off while 30.00 were billed in advance: 15.00. Half of April is given back at 7.50, not at 15.00.
    subscription = subscribed(shop)
    coupon = Coupon.objects.create(
        tenant=shop.tenant, code="half", name="Half", kind="PERCENTAGE", percent=D(50), duration="ONCE"
    )
    CouponRedemption.objects.create(
        tenant=shop.tenant, coupon=coupon, subscription=subscription, redeemed_at=MARCH.start
    )
    billed(subscription, MARCH)
    changed(shop, APRIL.start.replace(day=16), quantity=D(0))
    # The invoice has room for 0.50, of the seat's half; 7.00 are left for the next one.
    assert [amount for _, amount, _ in billed(subscription, APRIL)] == [D("-0.50")]
    april = Invoice.objects.get(period_start=APRIL.start)
    assert (april.total, [dict(issue["facts"])["left"] for issue in april.issues]) == (0, ["-7"])


def test_a_credit_that_finds_no_room_goes_to_the_invoices_after(shop):
    subscription = subscribed(shop)
    billed(subscription, MARCH)
    changed(shop, APRIL.start.replace(day=16), quantity=D(0))
    # 15.00 back; the seat has room for 0.50, as its quantity fell, too.
    assert [amount for _, amount, _ in billed(subscription, APRIL)] == [D("-0.50")]
    changed(shop, MAY.start, quantity=D("0.1"))
    # May itself, 3.00, and June in advance, 3.00, and a seat of 0.10 have room for 6.10 of the 14.50.
    assert [amount for _, amount, _ in billed(subscription, MAY)] == [D("3.00"), D("3.00"), D("-6.10")]
    assert [amount for _, amount, _ in billed(subscription, JUNE)] == [D("3.00"), D("-3.10")]


def test_cancelling_gives_back_the_rest_and_bills_nothing_further(shop):
    subscription = subscribed(shop)
    billed(subscription, MARCH)
    with clock_at(NOON):
        subscription_cancel(tenant=shop.tenant, code="sub-1", at=APRIL.start.replace(day=16))
    # 15.00 are owed; the seat's half has room for 0.50. What is left is a person's to give back.
    assert [amount for _, amount, _ in billed(subscription, APRIL)] == [D("-0.50")]


def test_a_draft_made_again_and_a_late_look_at_a_closed_period_change_nothing(shop):
    subscription = subscribed(shop)
    billed(subscription, MARCH)
    for _ in range(2):
        draft = invoice_draft(tenant=shop.tenant, subscription_id=subscription.pk, period=APRIL)
        assert [amount for _, amount, _ in shown(draft)] == [D("30.00")]
    billed(subscription, APRIL)
    with clock_at(MAY.end):
        document = invoice_preview(tenant=shop.tenant, subscription_code="sub-1", at=MAY.start)
    assert [line.adjusts for line in document.lines] == ["", ""]


def test_a_start_without_anything_due_is_refused(shop):
    Offering.objects.update(setup_fee=0)
    subscribed(shop, quantity=D(0))
    with pytest.raises(Problem, match="nothing is due at its start"):
        started(shop)
