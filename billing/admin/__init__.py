"""The admin's pages on catalog, customers' subscriptions and money; one noun a file."""

from . import (
    bill_run,
    charge,
    contract,
    coupon,
    credit_note,
    invoice,
    ledger,
    offering,
    product,
    profile,
    rate_plan,
    subscription,
    tax_exemption,
    tax_rate,
    wallet,
)

__all__ = [
    "bill_run",
    "charge",
    "contract",
    "coupon",
    "credit_note",
    "invoice",
    "ledger",
    "offering",
    "product",
    "profile",
    "rate_plan",
    "subscription",
    "tax_exemption",
    "tax_rate",
    "wallet",
]
