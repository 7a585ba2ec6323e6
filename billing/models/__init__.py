"""What is sold, to whom, under which terms, and the money that follows."""

from .bill_run import BillRun, BillRunItem
from .catalog import Charge, Offering, OfferingPlan, Product, RatePlan, RatePlanVersion, Tier
from .contract import (
    Contract,
    ContractCommitment,
    ContractDiscount,
    ContractPrice,
    ContractRenewal,
    ContractTrial,
)
from .coupon import Coupon, CouponRedemption
from .credit_note import CreditNote, CreditNoteLine, CreditNoteSequence, CreditNoteTax
from .exchange_rate import ExchangeRate
from .invoice import Invoice, InvoiceLine, InvoiceSequence, InvoiceTax
from .ledger import LedgerEntry, LedgerTransaction
from .profile import BillingProfile
from .recurring_grant import RecurringGrant
from .subscription import SetupFee, Subscription, SubscriptionItem, SubscriptionPhase
from .tax import TaxExemption, TaxQuote, TaxRate
from .top_up import WalletTopUp, WalletTopUpRule
from .wallet import Wallet, WalletBurn, WalletGrant, WalletHold, WalletHoldPart, WalletMovement

__all__ = [
    "BillRun",
    "BillRunItem",
    "BillingProfile",
    "Charge",
    "Contract",
    "ContractCommitment",
    "ContractDiscount",
    "ContractPrice",
    "ContractRenewal",
    "ContractTrial",
    "Coupon",
    "CouponRedemption",
    "CreditNote",
    "CreditNoteLine",
    "CreditNoteSequence",
    "CreditNoteTax",
    "ExchangeRate",
    "Invoice",
    "InvoiceLine",
    "InvoiceSequence",
    "InvoiceTax",
    "LedgerEntry",
    "LedgerTransaction",
    "Offering",
    "OfferingPlan",
    "Product",
    "RatePlan",
    "RatePlanVersion",
    "RecurringGrant",
    "SetupFee",
    "Subscription",
    "SubscriptionItem",
    "SubscriptionPhase",
    "TaxExemption",
    "TaxQuote",
    "TaxRate",
    "Tier",
    "Wallet",
    "WalletBurn",
    "WalletGrant",
    "WalletHold",
    "WalletHoldPart",
    "WalletMovement",
    "WalletTopUp",
    "WalletTopUpRule",
]
