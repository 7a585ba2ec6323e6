"""The journal: books one transaction of balanced entries, once for each reference."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.decimals import EXACT
from aforo.tenancy.models import Customer, Tenant

from ..models import Invoice, LedgerEntry, LedgerTransaction


@dataclass(frozen=True, slots=True)
class Entry:
    """One side of a transaction. amount: major units; positive debits the account, negative credits it."""

    account: str
    currency: str
    amount: Decimal


class OffBalance(ValueError):
    """Entries whose debits and credits differ; a programmer's mistake."""


@transaction.atomic(savepoint=False)
def book(
    *,
    tenant: Tenant,
    reference: str,
    description: str,
    entries: Iterable[Entry],
    customer: Customer | None = None,
    invoice: Invoice | None = None,
    booked_at: datetime | None = None,
) -> LedgerTransaction:
    """Write one transaction; a reference that is booked already gives the transaction of then.

    reference: what it books, such as "invoice:<id>"; unique for the tenant. Entries of zero are left out.
    Raises OffBalance where the entries of a currency do not sum to zero (the database would refuse them, too).

    100.00 + 19.00 tax: receivable 119.00, revenue -100.00, tax_payable -19.00.
    """
    kept = tuple(entry for entry in entries if entry.amount)
    _balance_check(reference, kept)
    booked, is_new = LedgerTransaction.objects.get_or_create(
        tenant=tenant,
        reference=reference,
        defaults={"description": description, "invoice": invoice, "booked_at": booked_at or now()},
    )
    if is_new:
        LedgerEntry.objects.bulk_create(
            LedgerEntry(
                tenant=tenant,
                transaction=booked,
                customer=customer,
                account=entry.account,
                currency=entry.currency,
                amount=entry.amount,
            )
            for entry in kept
        )
    return booked


def _balance_check(reference: str, entries: tuple[Entry, ...]) -> None:
    sums: dict[str, Decimal] = {}
    for entry in entries:
        sums[entry.currency] = EXACT.add(sums.get(entry.currency, Decimal(0)), entry.amount)
    off = {currency: amount for currency, amount in sums.items() if amount}
    if off:
        said = ", ".join(f"{amount} {currency}" for currency, amount in sorted(off.items()))
        raise OffBalance(f"{reference} is off by {said}")
