"""The store's own last word: a unique constraint that empty values slip through, or collide in, is none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.db import IntegrityError, models, transaction

from billing.models import Invoice
from tests.billing.builders import MARCH, a_fee, a_subscription, a_tenant, drafted, issued, tampering
from tests.workspaces import customer

# Where an empty value is meant, each for a reason.
EMPTY_IS_MEANT = {
    "bill_run_idempotency_key": "a run that nobody gave a key",
    "credit_note_number": "a draft has no number",
    "credit_note_sequence": "a draft has no number",
    "invoice_number": "a draft has no number",
    "invoice_sequence": "a draft has no number",
    "edge_record_name": "a record of a tenant or a customer is of no feature",
    "margin_policy_one_active": "a global policy names no owner, and one of them is active",
    "correction_replacement": "a voided event has no event in its place",
    "wallet_burn_once": "a burn is of an invoice or of a hold, which a check constraint says",
    "wallet_burn_once_a_hold": "a burn is of an invoice or of a hold, which a check constraint says",
    "wallet_grant_once_a_month": "a grant that does not recur is of no recurring one",
    "wallet_top_up_payment": "a top-up that is not paid has no payment",
    "usage_context": "one row for each content, of which empty is a part",
}
APPS = ("tenancy", "outbox", "audit", "metering", "entitlements", "billing", "http")


def unique_constraints() -> Iterator[tuple[type[models.Model], models.UniqueConstraint]]:
    for config in apps.get_app_configs():
        if config.label in APPS:
            for model in config.get_models():
                for each in model._meta.constraints:
                    if isinstance(each, models.UniqueConstraint):
                        yield model, each


def test_no_empty_value_gets_past_a_unique_constraint_or_collides_in_it():
    """frappe/central #170: an empty text collided and a null did not; six invoices of one order."""
    found = list(unique_constraints())
    assert len(found) > 20
    wrong = []
    for model, constraint in found:
        if constraint.name in EMPTY_IS_MEANT:
            continue
        for name in constraint.fields:
            field = model._meta.get_field(name)
            if field.null and constraint.nulls_distinct is not False:
                wrong.append(f"{constraint.name}.{name}: null is never equal to null")
            if field.blank and field.empty_strings_allowed and not field.null and not field.choices:
                wrong.append(f"{constraint.name}.{name}: an empty text is equal to an empty text")
    assert wrong == []
    assert set(EMPTY_IS_MEANT) <= {constraint.name for _, constraint in found}


@pytest.mark.django_db
def test_a_void_invoice_makes_room_for_one_in_its_place_and_for_one_only():
    """The uniqueness of a period is of what is live: void ones do not block it, and two live ones are refused."""
    subscription = a_subscription(customer(a_tenant()), a_fee())
    first = issued(subscription)
    with tampering():
        Invoice.objects.filter(pk=first.pk).update(status="VOID")
    second = drafted(subscription)
    assert second.pk != first.pk
    with pytest.raises(IntegrityError, match="invoice_one_live_a_period"), transaction.atomic():
        Invoice.objects.filter(pk=first.pk).update(status="OPEN")
    assert list(Invoice.objects.exclude(status="VOID").values_list("period_start", flat=True)) == [
        MARCH.start
    ]
