"""What earlier invoices of a commitment period came to, read from their lines, drafts and adjustments included."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from billing import proof
from billing.models import Contract, Invoice, OfferingPlan, RatePlanVersion
from billing.services.catalog import charge_update, product_create, version_draft, version_publish
from billing.services.contracts import contract_create
from billing.services.subscription_items import subscription_change
from tests.billing.builders import a_subscription, a_tenant, drafted, issued, used
from tests.workspaces import customer, meter

pytestmark = pytest.mark.django_db


def month(number, year=2026):
    following = datetime(year + number // 12, number % 12 + 1, 1, tzinfo=UTC)
    return Period(datetime(year, number, 1, tzinfo=UTC), following)


@pytest.fixture
def calls():
    """A subscription of the product `api` at 1.00 a call."""
    tenant = a_tenant()
    buyer = customer(tenant)
    counter = meter(tenant, aggregation="SUM")
    charge = {"code": "calls", "model": "PER_UNIT", "unit_price": Decimal(1), "meter": counter}
    return a_subscription(buyer, charge)


def agreed(subscription, **fields) -> Contract:
    return contract_create(
        **{
            "tenant": subscription.tenant,
            "code": "deal",
            "subscription": subscription.code,
            "starts_on": date(2026, 1, 1),
            **fields,
        }
    )


def version_of(subscription) -> RatePlanVersion:
    return subscription.items.get().plan_version


def use(subscription, number: int, quantity: str) -> None:
    counter = version_of(subscription).charges.get().meter
    used(subscription.customer, counter, quantity, datetime(2026, number, 10, tzinfo=UTC))


def issued_in(subscription, number: int) -> Invoice:
    """A month's invoice, on the second day after it."""
    return issued(subscription, month(number), at=month(number).end.replace(day=2))


def lines(invoice: Invoice) -> list[tuple[str, str, str]]:
    return [
        (line.kind, line.code, str(line.amount.quantize(Decimal("0.01")))) for line in invoice.lines.all()
    ]


YEARLY = {"amount": "1200", "product": "api", "true_up": "quarter"}


def test_a_quarter_is_trued_up_and_earned_back_in_the_next(calls):
    agreed(calls, commitments=[YEARLY])
    # 300 by March: 50 + 60 + 70 = 180, so 120 are missing.
    for number, quantity in ((1, "50"), (2, "60"), (3, "70")):
        use(calls, number, quantity)
        invoice = issued_in(calls, number)
    assert lines(invoice) == [("USAGE_FEE", "calls", "70.00"), ("TRUE_UP", "deal:product:api", "120.00")]
    # 600 by June: 180 + 150 + 150 + 90 = 570, so 30 are missing in all and 90 come back.
    for number, quantity in ((4, "150"), (5, "150"), (6, "90")):
        use(calls, number, quantity)
        invoice = issued_in(calls, number)
    assert lines(invoice) == [("USAGE_FEE", "calls", "90.00"), ("TRUE_UP", "deal:product:api", "-90.00")]
    assert sum(invoice.total for invoice in Invoice.objects.all()) == 600


def test_drafts_count_as_issued_invoices_do(calls):
    agreed(calls, commitments=[YEARLY])
    for number in (1, 2, 3):
        use(calls, number, "50")
    for number in (1, 2):
        drafted(calls, month(number))
    assert lines(drafted(calls, month(3)))[1] == ("TRUE_UP", "deal:product:api", "150.00")
    # Drafted again, it finds the same.
    assert lines(drafted(calls, month(3)))[1] == ("TRUE_UP", "deal:product:api", "150.00")


def test_a_void_invoice_counts_for_nothing(calls):
    agreed(calls, commitments=[YEARLY])
    for number in (1, 2, 3):
        use(calls, number, "50")
    issued_in(calls, 1)
    Invoice.objects.update(status="VOID")
    issued_in(calls, 2)
    # February and March are 100 of 300.
    assert lines(drafted(calls, month(3)))[1] == ("TRUE_UP", "deal:product:api", "200.00")


def test_late_usage_of_an_earlier_month_counts_towards_the_quarter(calls):
    agreed(calls, commitments=[YEARLY])
    for number in (1, 2):
        use(calls, number, "50")
        issued_in(calls, number)
    used(calls.customer, version_of(calls).charges.get().meter, "30", datetime(2026, 2, 11, 5, tzinfo=UTC))
    use(calls, 3, "50")
    # 50 + 50 + 50 and the 30 of February: 180 of 300.
    assert lines(drafted(calls, month(3))) == [
        ("USAGE_FEE", "calls", "50.00"),
        ("TRUE_UP", "deal:product:api", "120.00"),
        ("USAGE_FEE", "calls", "30.00"),
    ]


def test_late_usage_of_a_quarter_that_is_settled_costs_nothing_below_the_minimum(calls):
    agreed(calls, commitments=[{**YEARLY, "amount": "300", "period": "quarter"}])
    for number in (1, 2, 3):
        use(calls, number, "50")
        issued_in(calls, number)
    used(calls.customer, version_of(calls).charges.get().meter, "30", datetime(2026, 2, 11, 5, tzinfo=UTC))
    use(calls, 4, "500")
    invoice = drafted(calls, month(4))
    # The first quarter has cost 300 and still does: its 30 are billed, and as much of the true-up comes back.
    assert lines(invoice) == [
        ("USAGE_FEE", "calls", "500.00"),
        ("USAGE_FEE", "calls", "30.00"),
        ("TRUE_UP", "deal:product:api", "-30.00"),
    ]
    assert invoice.lines.last().adjusts == Invoice.objects.get(period_start=month(3).start).number
    # What was drafted is what is found when it is drafted again, and there is nothing left for May.
    assert lines(drafted(calls, month(4))) == lines(invoice)
    assert lines(drafted(calls, month(5))) == [("USAGE_FEE", "calls", "0.00")]


def test_late_usage_after_a_terms_end_costs_nothing_below_its_minimum(calls):
    agreed(calls, ends_on=date(2026, 4, 1), commitments=[{**YEARLY, "amount": "300", "period": "quarter"}])
    for number in (1, 2, 3):
        use(calls, number, "50")
        issued_in(calls, number)
    used(calls.customer, version_of(calls).charges.get().meter, "30", datetime(2026, 2, 11, 5, tzinfo=UTC))
    use(calls, 4, "40")
    assert lines(drafted(calls, month(4)))[1:] == [
        ("USAGE_FEE", "calls", "30.00"),
        ("TRUE_UP", "deal:product:api", "-30.00"),
    ]


def test_a_true_up_that_cannot_be_given_back_is_given_with_the_next_invoice(calls):
    agreed(calls, commitments=[YEARLY])
    for number, quantity in ((3, "50"), (4, "600"), (5, "100"), (6, "100")):
        use(calls, number, quantity)
    invoices = {number: issued_in(calls, number) for number in range(1, 7)}
    # March: 50 of 300, so 250 are missing. June: 850 of 600, and the 250 come back, of which June has 100.
    assert lines(invoices[3])[1] == ("TRUE_UP", "deal:product:api", "250.00")
    assert lines(invoices[6])[1] == ("TRUE_UP", "deal:product:api", "-100.00")
    assert [issue["code"] for issue in invoices[6].issues] == ["commitment_carried"]
    # 850 + 3 x 50 = 1,000 of 900 by September: the other 150 come back, of which September has 50.
    for number in (7, 8, 9):
        use(calls, number, "50")
        invoice = issued_in(calls, number)
    assert lines(invoice)[1] == ("TRUE_UP", "deal:product:api", "-50.00")


def test_a_contract_that_begins_inside_a_month_commits_to_its_days(calls):
    # A quarter of three months from June on, of which 77 of 92 days are in the term: 920 x 77 / 92 = 770.
    agreed(calls, starts_on=date(2026, 6, 16), commitments=[{"amount": "920", "period": "quarter"}])
    use(calls, 6, "100")
    for number in (6, 7):
        assert len(lines(issued_in(calls, number))) == 1
    assert lines(drafted(calls, month(8)))[1] == ("TRUE_UP", "deal", "670.00")


def test_a_subscription_that_ends_settles_with_its_last_invoice(calls):
    agreed(calls, commitments=[{"amount": "900", "period": "quarter"}])
    calls.ends_at = datetime(2026, 2, 15, tzinfo=UTC)
    calls.save()
    use(calls, 1, "100")
    issued_in(calls, 1)
    # 45 of 90 days are 450.
    assert lines(drafted(calls, month(2)))[1] == ("TRUE_UP", "deal", "350.00")


def test_a_maximum_holds_over_the_quarter(calls):
    agreed(calls, commitments=[{"kind": "MAXIMUM", "amount": "100", "period": "quarter"}])
    for number, quantity in ((1, "70"), (2, "50"), (3, "10"), (4, "70")):
        use(calls, number, quantity)
    totals = [issued_in(calls, number).total for number in (1, 2, 3, 4)]
    assert totals == [70, 30, 0, 70]


def test_an_issued_invoice_recomputes_with_what_its_commitment_had_counted(calls):
    agreed(calls, commitments=[YEARLY], discounts=[{"percent": "10"}])
    use(calls, 1, "50")
    for number in (1, 2, 3):
        invoice = issued_in(calls, number)
    state = proof.recompute(bytes(invoice.sealed_input))
    assert proof.result_hash(state) == invoice.result_hash
    assert state.contracts[0].commitments[0].counted == 50


def test_what_discounts_bring_below_a_minimum_is_said(calls):
    agreed(calls, commitments=[YEARLY], discounts=[{"percent": "10"}])
    use(calls, 1, "400")
    for number in (1, 2):
        issued_in(calls, number)
    # 400 of 300 are used, and 360 paid.
    assert drafted(calls, month(3)).issues == []
    use(calls, 4, "40")
    issued_in(calls, 3)
    for number in (4, 5):
        issued_in(calls, number)
    # 440 + 160 of 600; 396 + 144 = 540 are paid.
    (issue,) = drafted(calls, month(6)).issues
    assert issue["code"] == "minimum_undercut"
    assert issue["sentence"] == "Discounts bring what is paid to 540.00 USD, below the minimum of 600.00."


# --- prices


def test_a_contracts_price_holds_for_periods_whose_last_day_is_in_its_term(calls):
    price = {"charge": "calls", "model": "PER_UNIT", "terms": {"unit_price": "0.5"}}
    agreed(calls, starts_on=date(2026, 2, 10), ends_on=date(2026, 3, 20), prices=[price])
    for number in (1, 2, 3):
        use(calls, number, "100")
    invoices = [drafted(calls, month(number)) for number in (1, 2, 3)]
    assert [invoice.total for invoice in invoices] == [100, 50, 100]
    said = [each for each in invoices[1].trace if each["code"] == "rating.contract"]
    assert said[0]["facts"] == [["contract", "deal"]]


def test_a_contract_in_another_currency_stops_the_period(calls):
    agreed(calls)
    Contract.objects.update(currency="EUR")
    with pytest.raises(Problem) as caught:
        drafted(calls, month(1))
    assert caught.value.detail == "The contract 'deal' is in EUR, and the plan in USD."


# --- trials


def test_a_products_trial_ends_inside_a_month(calls):
    # 45 days from 1 January end with 14 February: what is used on the 10th is free, and on the 20th billed.
    agreed(calls, trials=[{"product": "api", "days": 45}])
    use(calls, 1, "70")
    use(calls, 2, "100")
    used(calls.customer, version_of(calls).charges.get().meter, "50", datetime(2026, 2, 20, tzinfo=UTC))
    use(calls, 3, "30")
    assert drafted(calls, month(1)) is None
    assert [drafted(calls, month(number)).total for number in (2, 3)] == [50, 30]


def test_a_trial_of_a_later_contract_lies_between_billed_days(calls):
    # Free from 10 to 19 March; 10 calls before and 30 after are billed.
    agreed(calls, starts_on=date(2026, 3, 10), trials=[{"product": "api", "days": 10}])
    for day, quantity in ((9, "10"), (10, "20"), (19, "40"), (20, "30")):
        used(
            calls.customer,
            version_of(calls).charges.get().meter,
            quantity,
            datetime(2026, 3, day, tzinfo=UTC),
        )
    assert drafted(calls, month(3)).total == 40


def test_a_trial_of_another_product_frees_nothing(calls):
    product_create(tenant=calls.tenant, code="other", name="Other")
    agreed(calls, trials=[{"product": "other", "days": 45}])
    use(calls, 1, "70")
    assert drafted(calls, month(1)).total == 70


def test_a_contracts_price_holds_for_both_versions_of_a_plan(calls):
    # 100 calls under version 1 and 50 under version 2, whose calls would be 2.00 each; agreed are 0.50: 50.00 + 25.00.
    tenant, plan = calls.tenant, version_of(calls).plan
    OfferingPlan.objects.create(tenant=tenant, offering=calls.offering, plan=plan)
    version_draft(tenant=tenant, plan=plan.code)
    charge_update(tenant=tenant, plan=plan.code, version=2, code="calls", unit_price=Decimal(2))
    version_publish(tenant=tenant, plan=plan.code, version=2)
    agreed(calls, prices=[{"charge": "calls", "model": "PER_UNIT", "terms": {"unit_price": "0.5"}}])
    counter = calls.items.get().plan_version.charges.get().meter
    with clock_at(datetime(2026, 1, 5, tzinfo=UTC)):
        subscription_change(
            tenant=tenant,
            code=calls.code,
            plan=plan.code,
            to_plan=plan.code,
            version=2,
            at=month(1).start.replace(day=16),
        )
    for day, quantity in ((10, "100"), (20, "50")):
        used(calls.customer, counter, quantity, datetime(2026, 1, day, tzinfo=UTC))
    assert sorted(lines(drafted(calls, month(1)))) == [
        ("USAGE_FEE", "calls", "25.00"),
        ("USAGE_FEE", f"calls@{plan.code}-v1", "50.00"),
    ]
