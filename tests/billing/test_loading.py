"""What a run looks at: the terms in force for a period (docs/decisions/0007), in a fixed order."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from billing import loading, pipeline, proof
from billing.models import (
    BillingProfile,
    Contract,
    Coupon,
    CouponRedemption,
    Invoice,
    Product,
    Subscription,
    TaxExemption,
    TaxRate,
)
from billing.selectors.subscriptions import billed_subscription_for
from tests.billing.builders import (
    APRIL_2,
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


def month(number, year=2026):
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return Period(datetime(year, number, 1, tzinfo=UTC), following)


FEBRUARY, APRIL, MAY, JUNE = month(2), month(4), month(5), month(6)


def loaded(subscription, cycle=MARCH):
    tenant = subscription.tenant
    return loading.billing_state(
        tenant=tenant, subscription=billed_subscription_for(tenant, pk=subscription.pk), cycle=cycle
    )


def lines(subscription, cycle=MARCH):
    return {line.code: line.amount for line in pipeline.run(loaded(subscription, cycle)).lines}


# --- periods


def test_a_first_period_is_billed_from_the_start_only():
    # 10 March to 1 April is 22 of 31 days: 31.00 x 22 / 31 = 22.00.
    subscription = a_subscription(
        customer(a_tenant()), a_fee("31.00"), starts_at=datetime(2026, 3, 10, tzinfo=UTC)
    )
    state = loaded(subscription)
    assert (state.period.start, state.cycle) == (subscription.starts_at, MARCH)
    assert lines(subscription) == {"base": Decimal("22.00")}


def test_a_last_period_is_billed_until_the_end_only():
    subscription = a_subscription(
        customer(a_tenant()), a_fee("31.00"), ends_at=datetime(2026, 3, 11, tzinfo=UTC)
    )
    assert lines(subscription) == {"base": Decimal("10.00")}


def test_usage_outside_of_the_billed_part_is_not_counted():
    buyer = customer(a_tenant())
    calls = meter(buyer.tenant, aggregation="SUM")
    charge = {"code": "calls", "meter": calls, "model": "PER_UNIT", "unit_price": Decimal("1")}
    subscription = a_subscription(buyer, charge, starts_at=datetime(2026, 3, 10, tzinfo=UTC))
    for day, quantity in ((9, "100"), (10, "7"), (31, "5")):
        used(buyer, calls, quantity, at=datetime(2026, 3, day, 3, tzinfo=UTC))
    used(buyer, calls, "1000", at=MARCH.end)
    assert lines(subscription) == {"calls": Decimal("12.00")}


def test_a_level_is_taken_over_from_before_the_period():
    buyer = customer(a_tenant())
    seats = meter(buyer.tenant, "seats", "WEIGHTED_SUM")
    used(buyer, seats, "8", at=datetime(2026, 2, 10, tzinfo=UTC))
    subscription = a_subscription(
        buyer, {"code": "seats", "meter": seats, "model": "PER_UNIT", "unit_price": Decimal("2.50")}
    )
    # 8 seats all March: 8 x 2.50.
    assert lines(subscription) == {"seats": Decimal("20.00")}
    assert [level.value for level in loaded(subscription).usage[0].levels] == [8]


def test_a_percentile_is_billed_from_the_events_of_the_period():
    buyer = customer(a_tenant())
    latency = meter(buyer.tenant, "latency", "PERCENTILE", percentile=Decimal(50))
    charge = {"code": "p50", "meter": latency, "model": "PER_UNIT", "unit_price": Decimal("1")}
    assert loaded(a_subscription(buyer, charge)).charges[0].percentile == 50


def test_a_cycle_in_which_the_subscription_did_not_run_is_refused():
    subscription = a_subscription(customer(a_tenant()), a_fee(), starts_at=MARCH.end)
    with pytest.raises(Problem) as caught:
        loaded(subscription)
    assert caught.value.code == "state_conflict"


# --- coupons


def with_coupon(*, redeemed_at=datetime(2026, 1, 1, tzinfo=UTC), **columns):
    tenant = a_tenant()
    subscription = a_subscription(customer(tenant), a_fee())
    columns = {"kind": "PERCENTAGE", "percent": Decimal(10), **columns}
    coupon = Coupon.objects.create(tenant=tenant, code="ten", name="Ten", **columns)
    CouponRedemption.objects.create(
        tenant=tenant, coupon=coupon, subscription=subscription, redeemed_at=redeemed_at
    )
    return subscription


def counts(subscription, *cycles):
    return [bool(loaded(subscription, cycle).coupons) for cycle in cycles]


YEAR = [month(number) for number in range(1, 7)]


@pytest.mark.parametrize(
    ("duration", "expected"),
    [
        ({"duration": "ONCE"}, [True, False, False, False, False, False]),
        ({"duration": "REPEATING", "duration_periods": 3}, [True, True, True, False, False, False]),
        ({"duration": "FOREVER"}, [True] * 6),
    ],
)
def test_a_coupon_counts_for_so_many_periods_from_the_first_one(duration, expected):
    assert counts(with_coupon(**duration), *YEAR) == expected


def test_a_coupon_begins_with_the_first_period_that_was_not_invoiced_when_it_was_attached():
    # Attached on 3 April: March was issued on the 2nd, so it begins with April and ends with May.
    subscription = with_coupon(
        duration="REPEATING", duration_periods=2, redeemed_at=APRIL_2 + timedelta(days=1)
    )
    issued(subscription, MARCH)
    assert counts(subscription, FEBRUARY, MARCH, APRIL, MAY, JUNE) == [False, False, True, True, False]


def test_a_coupon_attached_before_the_invoice_is_on_it():
    # Attached on 1 April, a day before March is issued; February was issued in March.
    subscription = with_coupon(duration="ONCE", redeemed_at=APRIL_2 - timedelta(days=1))
    issued(subscription, FEBRUARY, at=datetime(2026, 3, 2, tzinfo=UTC))
    invoice = issued(subscription, MARCH)
    assert invoice.discount == Decimal("-10.00")
    assert issued(subscription, APRIL, at=datetime(2026, 5, 2, tzinfo=UTC)).discount == 0


def test_coupons_come_in_the_order_they_were_attached():
    subscription = with_coupon(duration="FOREVER", redeemed_at=MARCH.start)
    tenant = subscription.tenant
    earlier = Coupon.objects.create(
        tenant=tenant, code="five", name="Five", kind="FIXED_AMOUNT", amount=Decimal(5)
    )
    CouponRedemption.objects.create(
        tenant=tenant, coupon=earlier, subscription=subscription, redeemed_at=FEBRUARY.start
    )
    # 100.00 - 5.00 = 95.00, less 10 % of it: 9.50.
    assert [(each.code, each.amount) for each in pipeline.run(loaded(subscription)).discounts] == [
        ("five", Decimal("-5.00")),
        ("ten", Decimal("-9.50")),
    ]


def test_a_coupon_in_another_currency_is_refused_by_name():
    subscription = with_coupon(
        kind="FIXED_AMOUNT", percent=None, amount=Decimal(5), currency="EUR", duration="FOREVER"
    )
    with pytest.raises(Problem, match="The coupon 'ten' is in EUR, and the plan in USD"):
        loaded(subscription)


# --- units


def test_units_are_billed_as_the_meter_converts_them():
    # 7,201 seconds are 3 hours begun; 1 is included, 2 x 5.00 = 10.00. Before conversion it would be 7,200 x 5.00.
    buyer = customer(a_tenant())
    seconds = meter(
        buyer.tenant,
        "gpu.time",
        "SUM",
        unit="hour",
        conversion={"operation": "divide", "factor": "3600", "rounding": "up"},
    )
    charge = {"code": "gpu", "meter": seconds, "model": "PER_UNIT", "unit_price": 5, "included_units": 1}
    subscription = a_subscription(buyer, charge)
    used(buyer, seconds, "7201")
    (line,) = pipeline.run(loaded(subscription)).lines
    assert (line.quantity, line.amount) == (3, 10)


# --- tax


def taxed(**customer_fields):
    tenant = a_tenant()
    for percent, starts_on, ends_on in (
        ("7", date(2026, 1, 1), date(2026, 3, 31)),
        ("8", date(2026, 3, 31), date(2026, 4, 1)),
        ("9", date(2026, 4, 1), None),
    ):
        TaxRate.objects.create(
            tenant=tenant,
            jurisdiction="DE",
            name="VAT",
            percent=percent,
            starts_on=starts_on,
            ends_on=ends_on,
        )
    fields = {"tax_jurisdiction": "DE", **customer_fields}
    return a_subscription(customer(tenant, **fields), a_fee())


def test_the_rate_of_the_last_local_day_holds():
    # 31 March alone has 8 %, and it is the last day of March.
    assert [rate.percent for rate in loaded(taxed()).tax_profile.rates] == [Decimal(8)]


def test_the_last_day_is_the_customers():
    # A subscription that ends on 1 April 02:00Z ends on 31 March in New York.
    subscription = taxed(timezone="America/New_York")
    Subscription.objects.filter(pk=subscription.pk).update(ends_at=datetime(2026, 4, 1, 2, tzinfo=UTC))
    march = Period(datetime(2026, 3, 1, 5, tzinfo=UTC), datetime(2026, 4, 1, 4, tzinfo=UTC))
    assert [rate.percent for rate in loaded(subscription, march).tax_profile.rates] == [Decimal(8)]


@pytest.mark.parametrize(
    ("fields", "tax"),
    [({"is_tax_exempt": True}, 0), ({"tax_jurisdiction": ""}, 0), ({"tax_jurisdiction": "FR"}, 0), ({}, 8)],
)
def test_the_customer_decides_whether_there_is_tax(fields, tax):
    assert pipeline.run(loaded(taxed(**fields))).settlement.totals.tax == tax


def a_rate(tenant, jurisdiction, name, percent, **fields):
    return TaxRate.objects.create(
        tenant=tenant,
        jurisdiction=jurisdiction,
        name=name,
        percent=percent,
        **{"starts_on": date(2026, 1, 1), **fields},
    )


def rates(subscription):
    return [
        (rate.jurisdiction, rate.name, int(rate.percent), rate.lines, rate.except_lines)
        for rate in loaded(subscription).tax_profile.rates
    ]


def test_a_customer_pays_the_taxes_of_the_places_around_its_own():
    tenant = a_tenant()
    subscription = a_subscription(customer(tenant, tax_jurisdiction="US-NY-NYC"), a_fee())
    for place in ("US-NY", "US-NY-NYC", "US", "US-NYX", "US-CA", "US-NY-NYC-1"):
        a_rate(tenant, place, f"Tax of {place}", "4")
    assert [name for _, name, *_ in rates(subscription)] == ["Tax of US", "Tax of US-NY", "Tax of US-NY-NYC"]
    assert [place for place, *_ in rates(subscription)] == ["US", "US-NY", ""]
    # The place itself has another sales tax than the state; its position takes it first.
    a_rate(tenant, "US-NY", "Sales tax", "5")
    a_rate(tenant, "US-NY-NYC", "Sales tax", "9", position=0)
    assert rates(subscription)[0] == ("", "Sales tax", 9, (), ())
    assert len(rates(subscription)) == 4


def test_a_product_may_have_a_rate_of_its_own():
    tenant = a_tenant()
    subscription = a_subscription(customer(tenant, country="DE"), a_fee())
    a_rate(tenant, "DE", "VAT", "19")
    a_rate(tenant, "DE", "VAT", "7", tax_category="books")
    assert rates(subscription) == [("", "VAT", 19, (), ())]
    Product.objects.filter(tenant=tenant).update(tax_category="books")
    assert rates(subscription) == [("", "VAT", 19, (), ("base",)), ("", "VAT", 7, ("base",), ())]
    assert [(t.percent, t.amount) for t in pipeline.run(loaded(subscription)).taxes] == [(19, 0), (7, 7)]


def test_the_seller_and_the_customer_are_in_the_input():
    tenant = a_tenant()
    BillingProfile.objects.create(tenant=tenant, legal_name="Acme", country="DE", vat_number="DE136695976")
    buyer = customer(tenant, country="MC", vat_number="FR40303265045", vat_confirmed_on=date(2026, 2, 1))
    a_rate(tenant, "FR", "VAT", "20")
    state = loaded(a_subscription(buyer, a_fee()))
    profile = state.tax_profile
    assert (profile.seller_country, profile.seller_vat_number) == ("DE", "DE136695976")
    # Monaco pays France's VAT.
    assert (profile.country, profile.jurisdiction, profile.vat_number) == ("MC", "FR", "FR40303265045")
    assert [each.treatment for each in pipeline.run(state).taxes] == ["REVERSE_CHARGE"]
    assert proof.unseal(proof.seal(state)) == state


def test_certificates_are_known_for_a_year_after_their_end():
    tenant = a_tenant()
    buyer = customer(tenant, tax_jurisdiction="DE")
    for number, starts_on, ends_on in (
        ("forgotten", date(2024, 1, 1), date(2025, 3, 30)),
        ("expired", date(2025, 3, 30), date(2026, 3, 31)),
        ("in force", date(2026, 3, 31), date(2026, 4, 1)),
        ("to come", date(2026, 4, 1), None),
    ):
        TaxExemption.objects.create(
            tenant=tenant, customer=buyer, number=number, reason="x", starts_on=starts_on, ends_on=ends_on
        )
    state = loaded(a_subscription(buyer, a_fee()))
    assert [each.number for each in state.tax_profile.exemptions] == ["expired", "in force"]


# --- contracts


def with_contract(**columns):
    tenant = a_tenant()
    subscription = a_subscription(customer(tenant), a_fee("31.00"))
    columns = {"code": "deal", "starts_on": date(2026, 1, 1), "minimum_amount": Decimal("62.00"), **columns}
    Contract.objects.create(tenant=tenant, subscription=subscription, **columns)
    return subscription


def test_a_minimum_is_committed_for_the_days_of_the_term():
    # 62.00 for 22 of 31 days is 44.00; 31.00 counts, 13.00 is missing.
    subscription = with_contract(starts_on=date(2026, 3, 10))
    assert lines(subscription) == {"base": Decimal("31.00"), "deal": Decimal("13.00")}


@pytest.mark.parametrize(
    "term",
    [
        {"starts_on": date(2026, 4, 1)},
        {"starts_on": date(2026, 1, 1), "ends_on": date(2026, 3, 1)},
    ],
)
def test_a_contract_outside_of_the_period_does_not_count(term):
    assert loaded(with_contract(**term)).contracts == ()


# --- carried units


def test_unused_units_go_from_invoice_to_invoice():
    # 1,000 included, at most 50 % carried for one period. January uses 700: 300 go to February, which uses 1,300: nothing
    # to pay. It leaves nothing; March uses 1,300 and pays 300 x 0.01.
    buyer = customer(a_tenant())
    calls = meter(buyer.tenant, aggregation="SUM")
    subscription = a_subscription(
        buyer,
        {
            "code": "calls",
            "meter": calls,
            "model": "PER_UNIT",
            "unit_price": Decimal("0.01"),
            "included_units": 1_000,
            "rollover_periods": 1,
            "rollover_percent": 50,
        },
    )
    for number, quantity in ((1, "700"), (2, "1300"), (3, "1300")):
        used(buyer, calls, quantity, at=datetime(2026, number, 10, tzinfo=UTC))
    totals = [issued(subscription, month(number)).total for number in (1, 2, 3)]
    assert totals == [0, 0, Decimal("3.00")]
    # Without an invoice before it a period takes nothing over.
    Invoice.objects.filter(period_start=month(1).start).update(status="VOID")
    assert loaded(subscription, FEBRUARY).carried_in == ()


# --- wallets and the rest


def test_a_draft_counts_grants_as_at_the_periods_end():
    buyer = customer(a_tenant())
    a_grant(buyer, "10.00", expires_at=MARCH.end)
    a_grant(buyer, "20.00", starts_at=MARCH.end + timedelta(seconds=1))
    a_grant(buyer, "30.00")
    draft = drafted(a_subscription(buyer, a_fee(), mode="HYBRID"))
    assert draft.wallet_amount == Decimal("30.00")


def test_the_invoice_counts_grants_as_at_the_issue():
    buyer = customer(a_tenant())
    a_grant(buyer, "20.00", starts_at=APRIL_2)
    assert issued(a_subscription(buyer, a_fee(), mode="HYBRID")).wallet_amount == Decimal("20.00")


def test_a_postpaid_offering_leaves_the_wallet_alone():
    buyer = customer(a_tenant())
    a_grant(buyer, "30.00")
    assert loaded(a_subscription(buyer, a_fee())).wallet == ()


def test_the_tenants_rounding_holds():
    # 0.125 half up is 0.13, half even 0.12.
    subscription = a_subscription(customer(a_tenant()), a_fee("0.125"))
    assert lines(subscription) == {"base": Decimal("0.13")}
    BillingProfile.objects.create(tenant=subscription.tenant, legal_name="Acme", rounding="half_even")
    assert lines(subscription) == {"base": Decimal("0.12")}


@pytest.mark.promise("P49")
def test_what_is_sealed_is_what_was_loaded():
    state = loaded(demo_subscription(a_tenant()))
    sealed = proof.seal(state)
    assert proof.unseal(sealed) == state
    assert proof.seal(loaded(Subscription.objects.get())) == sealed
    assert proof.result_hash(proof.recompute(sealed)) == proof.result_hash(pipeline.run(state))
