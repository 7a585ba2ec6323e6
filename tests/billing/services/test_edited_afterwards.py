"""Issued invoices recompute byte for byte, whatever becomes of the catalog, the customer, the taxes or the rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import ROUND_DOWN, Decimal
from types import SimpleNamespace

import pytest
from django.core.management import call_command

from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant
from billing import loading, pipeline
from billing.models import BillingProfile, Charge, Coupon, Invoice, Offering, Product, RatePlan, TaxRate, Tier
from billing.pipeline import name_of
from billing.pipeline import state as values
from billing.pipeline.stages import rating
from billing.pipeline.state import RULE_VERSION
from billing.services.catalog import version_archive, version_draft, version_publish
from billing.services.verification import invoice_verify
from tests.billing.builders import MARCH, a_tenant, demo_subscription, issued, tampering, used

pytestmark = [pytest.mark.django_db, pytest.mark.promise("P49", "P50")]

FEBRUARY = Period(datetime(2026, 2, 1, tzinfo=UTC), MARCH.start)
APRIL = Period(MARCH.end, datetime(2026, 5, 1, tzinfo=UTC))


def issued_twice() -> tuple[Tenant, Invoice, Invoice]:
    subscription = demo_subscription(a_tenant())
    return subscription.tenant, issued(subscription, FEBRUARY), issued(subscription)


def prices_change(tenant: Tenant) -> None:
    """The way it is done: a new version, and the old one sold no more."""
    plan = RatePlan.objects.get(tenant=tenant)
    version_draft(
        tenant=tenant,
        plan=plan.code,
        charges=[{"code": "base", "name": "Base", "kind": "FEE", "model": "FLAT_RATE", "amount": "99"}],
    )
    version_publish(tenant=tenant, plan=plan.code, version=2)
    version_archive(tenant=tenant, plan=plan.code, version=1)


def prices_are_overwritten(tenant: Tenant) -> None:
    """By somebody with the database in their hands: published terms are held by triggers."""
    with tampering():
        Charge.objects.filter(tenant=tenant, code="base").update(amount=Decimal(1), name="Other")
        Tier.objects.filter(tenant=tenant).update(unit_price=Decimal(1))


def names_change(tenant: Tenant) -> None:
    Product.objects.filter(tenant=tenant).update(name="Renamed")
    RatePlan.objects.filter(tenant=tenant).update(name="Renamed")
    Offering.objects.filter(tenant=tenant).update(
        name="Renamed", billing_mode="PREPAID", payment_terms_days=1
    )
    Coupon.objects.filter(tenant=tenant).update(name="Renamed", percent=99)


def taxes_change(tenant: Tenant) -> None:
    TaxRate.objects.filter(tenant=tenant).update(percent=Decimal(25), name="Other tax", is_inclusive=True)
    TaxRate.objects.create(
        tenant=tenant, jurisdiction="US-NY", name="Second tax", percent=Decimal(3), starts_on=date(2020, 1, 1)
    )


def the_customer_changes(tenant: Tenant) -> None:
    parent = Customer.objects.create(tenant=tenant, external_id="cust_parent", name="Parent")
    Customer.objects.filter(tenant=tenant, external_id="cust_abc").update(
        name="Renamed", tax_jurisdiction="", is_tax_exempt=True, parent=parent
    )


def the_profile_changes(tenant: Tenant) -> None:
    BillingProfile.objects.filter(tenant=tenant).update(
        rounding="half_even", number_prefix="NEW", legal_name="Renamed"
    )


def usage_comes_late(tenant: Tenant) -> None:
    customer = Customer.objects.get(tenant=tenant, external_id="cust_abc")
    charge = Charge.objects.get(tenant=tenant, code="input")
    used(customer, charge.meter, "1000000", at=datetime(2026, 3, 20, tzinfo=UTC))


EDITS = (
    prices_change,
    prices_are_overwritten,
    names_change,
    taxes_change,
    the_customer_changes,
    the_profile_changes,
    usage_comes_late,
)


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__)
def test_an_issued_invoice_stands_when(edit):
    tenant, *invoices = issued_twice()
    sealed = [bytes(invoice.sealed_input) for invoice in invoices]
    edit(tenant)
    for invoice, was in zip(invoices, sealed, strict=True):
        stored = Invoice.objects.get(pk=invoice.pk)
        assert invoice_verify(stored) == []
        assert bytes(stored.sealed_input) == was


def test_all_edits_together_leave_the_command_content(capsys):
    tenant, *_ = issued_twice()
    for edit in EDITS:
        edit(tenant)
    call_command("verify_invoice", all=True, tenant=tenant.slug)
    assert capsys.readouterr().out == "2 verified, 0 differ.\n"


def rated_down(state: values.BillingState) -> values.BillingState:
    """Rating with a changed rule: from version 99 on, a line is cut to the minor unit and not rounded."""
    rated = rating.run(state)
    if not state.follows("99"):
        return rated
    cut = tuple(
        replace(line, amount=line.unrounded.quantize(Decimal("0.01"), ROUND_DOWN)) for line in rated.lines
    )
    return replace(rated, lines=cut)


def test_a_changed_rounding_rule_is_for_new_invoices_only(monkeypatch):
    # Output tokens: 3,588,665 x 0.00001 = 35.88665: rounded 35.89, and 35.88 when it is cut.
    tenant, february, march = issued_twice()
    assert march.lines.get(code="output").amount == Decimal("35.89")

    monkeypatch.setattr(values, "RULE_VERSIONS", (*values.RULE_VERSIONS, "99"))
    monkeypatch.setattr(pipeline, "RULE_VERSIONS", values.RULE_VERSIONS)
    changed = SimpleNamespace(
        __name__=rating.__name__, READS=rating.READS, WRITES=rating.WRITES, run=rated_down
    )
    stages = tuple(changed if name_of(stage) == "rating" else stage for stage in pipeline.STAGES)
    monkeypatch.setattr(pipeline, "STAGES", stages)
    loaded = loading.billing_state
    monkeypatch.setattr(loading, "billing_state", lambda **of: replace(loaded(**of), rule_version="99"))

    used(march.customer, Charge.objects.get(tenant=tenant, code="output").meter, "4088665", at=APRIL.start)
    april = issued(march.subscription, APRIL, at=APRIL.end)
    assert april.lines.get(code="output").amount == Decimal("35.88")
    assert [invoice.engine_version for invoice in (february, march, april)] == [
        RULE_VERSION,
        RULE_VERSION,
        "99",
    ]
    for invoice in (february, march, april):
        assert invoice_verify(Invoice.objects.get(pk=invoice.pk)) == []
