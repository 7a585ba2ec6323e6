"""One byte changed anywhere in what an invoice stands on is found by verification, and the invoice is named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, models, transaction

from aforo.kernel.clock import now
from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant
from billing.models import (
    Invoice,
    InvoiceLine,
    InvoiceSequence,
    InvoiceTax,
    LedgerEntry,
    LedgerTransaction,
    WalletBurn,
)
from billing.services.verification import invoice_verify, ledger_verify
from billing.services.wallet_holds import wallet_reserve
from tests.billing.builders import (
    MARCH,
    a_fee,
    a_grant,
    a_subscription,
    a_tenant,
    demo_subscription,
    issued,
    tampering,
)
from tests.workspaces import customer

pytestmark = [pytest.mark.django_db, pytest.mark.promise("P49", "P50")]

FEBRUARY = Period(datetime(2026, 2, 1, tzinfo=UTC), MARCH.start)
MODELS = (Invoice, InvoiceLine, InvoiceTax, LedgerTransaction, LedgerEntry, WalletBurn, InvoiceSequence)
# What may change after issue, or says nothing of money: row ids, the tenant that every query asks by, when a row was
# made, a payment's progress, and words for people.
FREE = frozenset(
    {
        *(
            "Invoice.status",
            "Invoice.created_at",
            "LedgerTransaction.description",
            "LedgerTransaction.booked_at",
        ),
        *("WalletBurn.burned_at", "WalletBurn.reason", "LedgerTransaction.invoice"),
    }
)


def flipped(field: models.Field, value: Any) -> Any:
    """The value with its last byte, digit or moment changed, and no longer than it was."""
    if isinstance(field, models.ForeignKey):
        return field.related_model.objects.exclude(pk=value).values_list("pk", flat=True)[0]
    if isinstance(value, Decimal):
        return value + Decimal("0.0001")
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    if isinstance(value, date):
        return value + timedelta(days=1)
    if isinstance(value, list):
        return [*value, {}]
    if isinstance(value, dict):
        return {**value, "": ""}
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1) if value else "x"
    if value is None and isinstance(field, models.DateTimeField):
        return now()
    data = bytes(value)
    return data[:-2] + bytes([data[-2] ^ 1]) + data[-1:]


def chain() -> tuple[Invoice, Invoice]:
    """Two invoices of the demo's customer, the second one paid by half from a wallet; and somebody else's, of whose wallet a part is held."""
    tenant = a_tenant()
    subscription = demo_subscription(tenant)
    a_grant(subscription.customer, "30.00")
    other = customer(tenant, "cust_other")
    wallet = a_grant(other, "6.00").wallet
    wallet_reserve(tenant=tenant, wallet_id=wallet.pk, amount="1.00", reference="use")
    issued(a_subscription(other, a_fee(), code="sub_other", mode="HYBRID"), FEBRUARY)
    first = issued(subscription, FEBRUARY)
    type(subscription.offering).objects.filter(pk=subscription.offering.pk).update(billing_mode="HYBRID")
    return first, issued(subscription)


def differences(tenant: Tenant) -> list[str]:
    found = [
        f"{invoice}: {sentence}"
        for invoice in Invoice.objects.filter(tenant=tenant)
        for sentence in invoice_verify(invoice)
    ]
    return [*found, *ledger_verify(tenant)]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_flipped_byte_is_found(model):
    _, second = chain()
    assert differences(second.tenant) == []
    row = rows_of(model, second).order_by("pk")[0]
    unseen, unnamed = [], []
    for field in model._meta.concrete_fields:
        name = f"{model.__name__}.{field.name}"
        if field.primary_key or field.name == "tenant" or name in FREE:
            continue
        found = differences_of_flip(second.tenant, row, field)
        if found is None:
            continue
        if not found:
            unseen.append(name)
        elif model is not InvoiceSequence and not any("INV-" in sentence for sentence in found):
            unnamed.append(name)
    assert (unseen, unnamed) == ([], [])


def rows_of(model: type[models.Model], invoice: Invoice) -> models.QuerySet:
    """The invoice's own rows of a table."""
    rows = model.objects.filter(tenant=invoice.tenant)
    if model is Invoice:
        return rows.filter(pk=invoice.pk)
    if model is LedgerEntry:
        return rows.filter(transaction__invoice=invoice)
    return rows if model is InvoiceSequence else rows.filter(invoice=invoice)


def differences_of_flip(tenant: Tenant, row: models.Model, field: models.Field) -> list[str] | None:
    """What verification says of one flipped byte, which is then taken back; None where the store itself refuses it."""
    with transaction.atomic():
        try:
            with tampering(), transaction.atomic():
                value = flipped(field, getattr(row, field.attname))
                type(row).objects.filter(pk=row.pk).update(**{field.attname: value})
        except IntegrityError:
            return None
        found = differences(tenant)
        transaction.set_rollback(True)
    return found
