"""The journal: books one transaction of balanced entries, once for each reference."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Booking:
    """One transaction to be written.

    reference: what it books, such as "invoice:<id>"; unique for the tenant. Entries of zero are left out.
    """

    reference: str
    description: str
    entries: tuple[Entry, ...]
    customer: Customer | None = None
    invoice: Invoice | None = None
    booked_at: datetime = field(default_factory=now)


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
    """Write one transaction; see Booking and `book_all`.

    100.00 + 19.00 tax: receivable 119.00, revenue -100.00, tax_payable -19.00.
    """
    booking = Booking(reference, description, tuple(entries), customer, invoice, booked_at or now())
    (booked,) = book_all(tenant=tenant, bookings=[booking])
    return booked


@transaction.atomic(savepoint=False)
def book_all(*, tenant: Tenant, bookings: Sequence[Booking]) -> list[LedgerTransaction]:
    """Write a transaction for each; a reference that is booked already gives the transaction of then.

    Raises OffBalance where the entries of a currency do not sum to zero (the database would refuse them, too).
    """
    for booking in bookings:
        _balance_check(booking)
    made = {
        booking.reference: LedgerTransaction(
            tenant=tenant,
            reference=booking.reference,
            description=booking.description,
            invoice=booking.invoice,
            booked_at=booking.booked_at,
        )
        for booking in bookings
    }
    LedgerTransaction.objects.bulk_create(made.values(), ignore_conflicts=True)
    stored = {row.reference: row for row in LedgerTransaction.objects.of(tenant).filter(reference__in=made)}
    LedgerEntry.objects.bulk_create(
        LedgerEntry(
            tenant=tenant,
            transaction=stored[booking.reference],
            customer=booking.customer,
            account=entry.account,
            currency=entry.currency,
            amount=entry.amount,
        )
        for booking in bookings
        for entry in booking.entries
        if entry.amount and stored[booking.reference] == made[booking.reference]
    )
    return [stored[booking.reference] for booking in bookings]


def _balance_check(booking: Booking) -> None:
    sums: dict[str, Decimal] = {}
    for entry in booking.entries:
        sums[entry.currency] = EXACT.add(sums.get(entry.currency, Decimal(0)), entry.amount)
    off = {currency: amount for currency, amount in sums.items() if amount}
    if off:
        said = ", ".join(f"{amount} {currency}" for currency, amount in sorted(off.items()))
        raise OffBalance(f"{booking.reference} is off by {said}")
