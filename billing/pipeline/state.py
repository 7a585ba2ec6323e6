"""What one run knows: the input that is sealed, and the fields that the stages fill.

Money is Decimal in `currency`; all bags are tuples; maps are sorted tuples of pairs. So equal input gives equal
bytes, and a run repeats anywhere. Amounts have the sign with which they add up: a discount is zero or negative.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.periods import Period
from metering.aggregation import Aggregation, Partial
from metering.meters import Conversion

from ..burn import Grant
from ..pricing.terms import Terms, TierCharge

ZERO, ONE = Decimal(0), Decimal(1)

# The editions of the money rules, oldest first. A deliberate change of one appends the next; the old branch stays for what
# was sealed before, and asks BillingState.follows. docs/billing/rule_versions.md says what each one changed.
RULE_VERSIONS = ("1", "2")
RULE_VERSION = RULE_VERSIONS[-1]


# --- the input ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollover:
    """How unused included units live on.

    periods: so many periods after their own they can still be used. percent: of the included units, at most
    (100: all of them). units_max: at most, None for no other bound. Both bound what a period takes over in all.
    """

    periods: int
    percent: Decimal = Decimal(100)
    units_max: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of time in which a charge is held. quantity: how often a fee is due; of usage it says nothing.

    of: the later cycle that it is a part of, where a fee is billed in advance; None for the billed one.
    """

    period: Period
    quantity: Decimal = ONE
    of: Period | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A priced meter or fee, resolved: contract prices are already in its terms.

    kind: "FEE" (recurring, prorated where the period is cut) or "USAGE". product: its code.
    meter, aggregation, percentile, conversion: of USAGE only; the meter's key, and how its events become units.
    filters: (dimension, value) pairs that usage must have; empty for all of the meter's usage. excludes: those of narrower
    charges, which price what has them.
    quota_units: the plan's quota for the period in units, None for none. over_quota: CHARGE, BLOCK or IGNORE.
    minimum_amount, maximum_amount: bounds of the line, None for none.
    proration: "day" or "second".
    spans: when it is held, in order and without overlap; empty for all of the billed period, once.
    timing: ARREARS or, of a fee, ADVANCE. plan: of a fee in advance, the version it is of.
    priced_by: the contract that the terms are of, empty for the plan.
    """

    code: str
    name: str
    kind: str
    terms: Terms
    position: int = 1
    product: str = ""
    meter: str = ""
    aggregation: Aggregation = Aggregation.SUM
    percentile: Decimal | None = None
    conversion: Conversion | None = None
    unit: str = ""
    filters: tuple[tuple[str, str], ...] = ()
    excludes: tuple[tuple[tuple[str, str], ...], ...] = ()
    quota_units: Decimal | None = None
    over_quota: str = "CHARGE"
    rollover: Rollover | None = None
    minimum_amount: Decimal | None = None
    maximum_amount: Decimal | None = None
    proration: str = "day"
    spans: tuple[Span, ...] = ()
    timing: str = "ARREARS"
    plan: str = ""
    priced_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupFee:
    """What is due once. code, name: the offering's."""

    code: str
    name: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class FeeAhead:
    """What earlier invoices billed of a fee of this cycle in advance.

    code, name: the charge's. gross: before discounts. net: after them.
    """

    code: str
    name: str
    plan: str
    gross: Decimal
    net: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class CreditLeft:
    """What the invoice before could not give back of fees in advance, below zero. code: the charge's."""

    code: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class HourUsage:
    """What one UTC hour brought to a meter under one set of dimensions.

    hour: its first instant; an hour that the period's or a span's boundary cuts is one entry for each part.
    dimensions: (name, value) pairs in the meter's order.
    """

    hour: datetime
    dimensions: tuple[tuple[str, str], ...]
    partial: Partial


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterLevel:
    """What a level was when the billed period began: the last number before it, under one set of dimensions."""

    at: datetime
    key: str
    value: Decimal
    dimensions: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterUsage:
    """A meter's usage in the billed period. levels: of WEIGHTED_SUM only; empty where nothing came before."""

    meter: str
    hours: tuple[HourUsage, ...]
    levels: tuple[MeterLevel, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedUnits:
    """Included units of a charge that an earlier period left unused.

    periods_left: in how many periods they can still be used, the one that they are handed to included.
    """

    charge: str
    units: Decimal
    periods_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """The least or the most that is spent in a scope over a commitment period, and what its earlier invoices came to.

    kind: MINIMUM or MAXIMUM. amount: of the whole commitment period.
    product, meter: the scope, a code or a key; with neither of them the whole contract.
    spans: the commitment period, cut where its true-ups are; they tile it, and begin and end with billing periods.
    active: the part of it in which the contract and the subscription run.
    counted: what earlier invoices have counted towards it. paid: what of that, and of settled, is left after discounts.
    settled: its own true-ups (or caps, negative) on them.
    invoices: their numbers; what this invoice adjusts of them counts here, too.
    """

    kind: str
    amount: Decimal
    product: str = ""
    meter: str = ""
    spans: tuple[Period, ...]
    active: Period
    counted: Decimal = ZERO
    settled: Decimal = ZERO
    paid: Decimal = ZERO
    invoices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractDiscount:
    """A percentage off a scope's lines once the threshold is reached in the period; of several steps, the highest.

    threshold: units of threshold_meter, or with no meter money spent in the scope. product, meter: as of Commitment.
    """

    percent: Decimal
    threshold: Decimal = ZERO
    threshold_meter: str = ""
    product: str = ""
    meter: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Negotiated terms inside a term; amounts are those of a whole cycle, save those of commitments.

    term: half-open; an open one ends at the cycle's end or later. minimum_amount, maximum_amount,
    discount_percent: None for none.
    """

    code: str
    term: Period
    minimum_amount: Decimal | None = None
    maximum_amount: Decimal | None = None
    discount_percent: Decimal | None = None
    commitments: tuple[Commitment, ...] = ()
    discounts: tuple[ContractDiscount, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Coupon:
    """A coupon in force for this period: either percent (5 means 5 %) or amount.

    lines: codes of the charges it is limited to; empty for the whole invoice.
    """

    code: str
    name: str
    percent: Decimal | None = None
    amount: Decimal | None = None
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxRate:
    """A rate in force for the period. percent: 8.875 means 8.875 %. is_inclusive: prices contain it already.

    lines: codes of the charges it is limited to; empty for the whole invoice. except_lines: codes that another rate
    of the same tax takes. is_compound: taken of the net and the taxes before it. jurisdiction: whose rate it is,
    empty for the profile's.
    """

    name: str
    percent: Decimal
    is_inclusive: bool = False
    lines: tuple[str, ...] = ()
    is_compound: bool = False
    except_lines: tuple[str, ...] = ()
    jurisdiction: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxExemption:
    """A certificate by which a customer pays no tax of a jurisdiction and of those inside it; empty for any.

    In force from starts_on until the day before ends_on; None for without end.
    """

    jurisdiction: str
    number: str
    reason: str
    starts_on: date
    ends_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotedTax:
    """A tax as an outside engine worked it out. taxable, amount: in minor units; note: what the invoice says of it."""

    jurisdiction: str
    name: str
    percent: Decimal
    taxable: Decimal
    amount: Decimal
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxQuote:
    """A recorded answer of an outside engine. question: SHA-256 of what was asked. reference: the engine's own."""

    question: str
    reference: str
    taxes: tuple[QuotedTax, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxProfile:
    """The customer's tax. jurisdiction: key of the tax table, empty for no tax. rates: in the order they are taken.

    country, seller_country: ISO 3166 codes; where both are known, EU VAT is decided by them. vat_number,
    seller_vat_number: of a known format. vat_confirmed_on: when a tax authority confirmed the customer's.
    exemptions: those in force on the period's last local day, and those that ended in the year before it.
    engine: name of the outside engine that works out the taxes, empty for the rates here; quote: its answer.
    """

    jurisdiction: str = ""
    is_exempt: bool = False
    rates: tuple[TaxRate, ...] = ()
    country: str = ""
    vat_number: str = ""
    vat_confirmed_on: date | None = None
    seller_country: str = ""
    seller_vat_number: str = ""
    exemptions: tuple[TaxExemption, ...] = ()
    engine: str = ""
    quote: TaxQuote | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FundedGrant:
    """A wallet grant and what is free of it, zero or more, before this run. currency: empty for the invoice's."""

    grant: Grant
    balance: Decimal
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeRate:
    """What one of a currency is in the invoice's; recorded for a day, above zero."""

    currency: str
    rate: Decimal
    on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class BilledLine:
    """What has been billed of a closed period under a line's kind and code: by its invoice and by adjustments since.

    amount: after discounts. quantity: as of Line.
    """

    kind: str
    code: str
    quantity: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageCorrection:
    """A correction of an event that a closed period's usage has changed by.

    id: the correction's. text: what it did, as in "amended req_7f2a". meters: those the event counts for.
    """

    id: str
    text: str
    meters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedPeriod:
    """An earlier period whose invoice is issued and whose usage may have changed since.

    invoice: its number. input: what that invoice sealed, with the usage as it is known now. rule_version: the input's.
    corrections: none where nothing but late usage came.
    """

    invoice: str
    rule_version: str
    input: BillingInput
    billed: tuple[BilledLine, ...]
    corrections: tuple[UsageCorrection, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageMark:
    """How much a period's usage was when it was read; more events or a later correction mean that it has changed.

    start: the period's. events: in the hours of the period. correction: the tenant's last one by then, 0 for none.
    """

    start: datetime
    events: int
    correction: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingInput:
    """Everything a run may look at; sealed with the invoice, so that it can be recomputed in years.

    tenant, customer, subscription, plan_version: what they are called, as text. payer: who is billed, the customer
    or a paying parent; empty for the customer.
    rounding: "half_up" or "half_even". zone: IANA name of the customer's time zone.
    period: what is billed. cycle: the whole billing period that it was cut from, equal to it where nothing was cut.
    as_of: the instant of the run; wallet grants count as they stand then.
    coupons: in the order they were attached. billing_mode: POSTPAID, PREPAID or HYBRID.
    exchange_rates: of the currencies that other wallets of the payer have, as recorded by the day of the run.
    closed: earlier periods that are billed again, in order. marks: of this period and of those.
    setup_fees: those that are due in this period.
    kind: PERIOD, or START for what is due before the first period is over.
    fees_ahead: what has been billed in advance for this cycle. credits_left: of the invoice before.
    """

    rule_version: str = RULE_VERSION
    tenant: str
    customer: str
    subscription: str
    plan_version: str
    payer: str = ""
    currency: str
    rounding: str = "half_up"
    zone: str = "UTC"
    period: Period
    cycle: Period
    as_of: datetime
    charges: tuple[Charge, ...]
    usage: tuple[MeterUsage, ...] = ()
    carried_in: tuple[CarriedUnits, ...] = ()
    contracts: tuple[Contract, ...] = ()
    coupons: tuple[Coupon, ...] = ()
    tax_profile: TaxProfile = field(default_factory=TaxProfile)
    billing_mode: str = "POSTPAID"
    wallet: tuple[FundedGrant, ...] = ()
    exchange_rates: tuple[ExchangeRate, ...] = ()
    closed: tuple[ClosedPeriod, ...] = ()
    marks: tuple[UsageMark, ...] = ()
    setup_fees: tuple[SetupFee, ...] = ()
    kind: str = "PERIOD"
    fees_ahead: tuple[FeeAhead, ...] = ()
    credits_left: tuple[CreditLeft, ...] = ()


# --- what the stages write ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaCap:
    """At most so many units of a charge are billed."""

    charge: str
    units: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """Units taken over from earlier periods, free of charge in this one beside the included units.

    periods_left: as of CarriedUnits.
    """

    charge: str
    units: Decimal
    periods_left: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """What a charge metered, after conversion and quota, in units; event_count: the events behind it."""

    charge: str
    units: Decimal
    event_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BillableQuantity:
    """What of a charge's units is to be priced: metered − free = billable."""

    charge: str
    metered: Decimal
    free: Decimal
    billable: Decimal
    event_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One invoice line, before discounts.

    kind: CHARGE, USAGE_FEE, SETUP_FEE, PRORATION, TRUE_UP or CAP. code: the charge's or the contract's;
    acme-2026:product:api of a commitment to a product.
    quantity: metered units (of a fee, 1). unrounded: at full precision. amount: rounded once to the minor unit;
    negative for a cap, and for a true-up that is earned back. discount: the line's share of all discounts, zero or negative. tiers: how it came to be.
    adjusts: the number of the invoice whose period the line corrects, empty for a line of this period; the line is then
    the difference of what that period comes to and what was billed, discounts included, and has either sign.
    corrections: ids of those that it comes of.
    ahead_of: start of the cycle whose fee it bills in advance or settles; plan: that fee's plan version.
    """

    kind: str
    code: str
    description: str
    quantity: Decimal
    unrounded: Decimal
    amount: Decimal
    discount: Decimal = ZERO
    tiers: tuple[TierCharge, ...] = ()
    adjusts: str = ""
    corrections: tuple[str, ...] = ()
    ahead_of: datetime | None = None
    plan: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """A closed period's lines with their discounts, as its usage is known now."""

    invoice: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountLine:
    """One discount's total. kind: CONTRACT or COUPON. amount: rounded once, zero or negative."""

    kind: str
    code: str
    description: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class TaxLine:
    """One rate's total. taxable: what the rate was taken of. amount: rounded once; inside it where inclusive.

    treatment: why no tax is due (REVERSE_CHARGE, EXEMPT, OUT_OF_SCOPE); empty for a rate. note: what the invoice says.
    """

    jurisdiction: str
    name: str
    percent: Decimal
    is_inclusive: bool
    taxable: Decimal
    amount: Decimal
    treatment: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """What a wallet of another currency pays. taken: in its own currency. paid: in the invoice's."""

    currency: str
    taken: Decimal
    paid: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """Who pays, and from what: wallet_amount + due_amount is the invoice's total.

    exchanged: the part of wallet_amount that wallets of other currencies pay, in order.
    """

    payer: str = ""
    wallet_amount: Decimal = ZERO
    due_amount: Decimal = ZERO
    exchanged: tuple[Exchanged, ...] = ()

    @property
    def own_wallet_amount(self) -> Decimal:
        """What the wallet of the invoice's currency pays."""
        return EXACT.subtract(self.wallet_amount, total(each.paid for each in self.exchanged))


@dataclass(frozen=True, slots=True, kw_only=True)
class WalletBurn:
    """An amount above zero, taken from one grant, in its currency."""

    grant: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """account: one of billing's ledger. amount: positive debits it, negative credits it. currency: empty for the
    invoice's.
    """

    account: str
    amount: Decimal
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentIntent:
    """An amount above zero to be collected from the payer."""

    payer: str
    amount: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """The invoice's figures: subtotal + commitment + discount + tax_added = total = wallet_amount + due_amount.

    subtotal: lines before commitment and discount. commitment: true-up (positive) or cap (negative).
    discount: zero or negative. tax: all of it. tax_added: what of it is not contained in the prices.
    """

    subtotal: Decimal = ZERO
    commitment: Decimal = ZERO
    discount: Decimal = ZERO
    tax: Decimal = ZERO
    tax_added: Decimal = ZERO
    total: Decimal = ZERO
    wallet_amount: Decimal = ZERO
    due_amount: Decimal = ZERO


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What posting writes: the document's figures, ledger entries that add up to zero in each currency, burns, payments."""

    totals: Totals = field(default_factory=Totals)
    entries: tuple[LedgerEntry, ...] = ()
    burns: tuple[WalletBurn, ...] = ()
    payments: tuple[PaymentIntent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """What can go wrong in business. severity: "critical" stops the run, "warning" travels with the invoice,
    "pending" waits for an answer from outside. subject: the charge or contract concerned, empty for none.
    """

    severity: str
    code: str
    sentence: str
    subject: str = ""
    facts: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """One number's reason: facts are (name, text) pairs, so that they read and hash the same everywhere."""

    stage: str
    code: str
    subject: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageHash:
    """SHA-256 over what a stage wrote, its issues and its explanations."""

    stage: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BillingState(BillingInput):
    """The input, and what the stages made of it; each field names the stage that writes it."""

    reruns: tuple[Rerun, ...] = ()  # the runner, before the first stage
    caps: tuple[QuotaCap, ...] = ()  # quota
    allowances: tuple[Allowance, ...] = ()  # rollover
    quantities: tuple[Quantity, ...] = ()  # aggregation
    billables: tuple[BillableQuantity, ...] = ()  # allowance
    lines: tuple[Line, ...] = ()  # rating; commitment adds, discount gives each its share and cuts credits
    discounts: tuple[DiscountLine, ...] = ()  # discount
    taxes: tuple[TaxLine, ...] = ()  # tax
    routing: Routing = field(default_factory=Routing)  # routing
    settlement: Settlement = field(default_factory=Settlement)  # settlement
    carried_out: tuple[CarriedUnits, ...] = ()  # allowance; the next period's carried_in
    issues: tuple[Issue, ...] = ()  # any
    trace: tuple[Explanation, ...] = ()  # every
    stage_hashes: tuple[StageHash, ...] = ()  # the runner

    def follows(self, rule_version: str) -> bool:
        """Whether a rule that came with this version holds for the run: "2" for inputs sealed under "2" or later."""
        return RULE_VERSIONS.index(self.rule_version) >= RULE_VERSIONS.index(rule_version)

    @property
    def bearer(self) -> str:
        """Who pays: the payer, or the customer where none is named."""
        return self.payer or self.customer

    @property
    def is_blocked(self) -> bool:
        """Whether a critical or a pending issue stopped the run; there is no invoice then."""
        return any(issue.severity in {"critical", "pending"} for issue in self.issues)


INPUTS = tuple(each.name for each in fields(BillingInput))
RESULTS = tuple(each.name for each in fields(BillingState) if each.name not in INPUTS)
