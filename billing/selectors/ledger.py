"""Reading the ledger: entries, and the trial balance that must be zero."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from django.db.models import Q, QuerySet, Sum

from aforo.kernel.decimals import total
from aforo.tenancy.models import Tenant

from ..models import LedgerEntry


@dataclass(frozen=True, slots=True)
class AccountBalance:
    """One account in one currency. debit, credit: sums, zero or more. balance: debit - credit."""

    account: str
    currency: str
    debit: Decimal
    credit: Decimal
    balance: Decimal


@dataclass(frozen=True, slots=True)
class TrialBalance:
    """Every account of a tenant; `off` holds what each currency misses zero by, and is empty in a sound ledger."""

    accounts: tuple[AccountBalance, ...]
    off: dict[str, Decimal]


def ledger_entries_for(tenant: Tenant) -> QuerySet[LedgerEntry]:
    return LedgerEntry.objects.of(tenant).select_related("transaction", "customer")


def trial_balance(tenant: Tenant) -> TrialBalance:
    """Debits and credits by account and currency.

    One invoice of 119.00: receivable 119.00 / 0, revenue 0 / 100.00, tax_payable 0 / 19.00; off by nothing.
    """
    zero = Decimal(0)
    rows = (
        LedgerEntry.objects.of(tenant)
        .values("currency", "account")
        .annotate(
            debit=Sum("amount", filter=Q(amount__gt=0), default=zero),
            credit=-Sum("amount", filter=Q(amount__lt=0), default=zero),
            balance=Sum("amount"),
        )
        .order_by("currency", "account")
    )
    accounts = tuple(AccountBalance(**row) for row in rows)
    sums = {
        currency: total(account.balance for account in accounts if account.currency == currency)
        for currency in sorted({account.currency for account in accounts})
    }
    return TrialBalance(accounts, {currency: amount for currency, amount in sums.items() if amount})
