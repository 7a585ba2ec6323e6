"""The values of pricing: what is billed, at which terms, and what came of it. Money has no currency here;
it is that of the plan."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total

ZERO = Decimal(0)


class InvalidTerms(ValueError):
    """Terms that a model cannot price; the message is a sentence about the term it names.

    field: the term, such as "tiers[1].up_to".
    """

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(f"{field} {sentence}")
        self.field = field
        self.sentence = sentence


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One step: covers (previous.up_to, up_to] of the billable units, counted from zero.

    up_to: None for the last one, which is open. unit_price: of each unit. flat_fee: due once, with the first unit.
    percent: GRADUATED_PERCENTAGE's instead of a unit price; 2.5 means 2.5 %. cap: the most that the tier costs, its
    flat fee included; None for no bound.
    """

    up_to: Decimal | None
    unit_price: Decimal = ZERO
    flat_fee: Decimal = ZERO
    percent: Decimal = ZERO
    cap: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one charge: its model and the union of what the models know; a model refuses what it lacks.

    model: a key of billing.pricing.MODELS.
    included: units free of charge each period; subtracted in the allowance stage, never by a model.
    unit_price: of one unit; INCLUDED_QUOTA with rate_basis "per_block": of one block.
    amount: FLAT_RATE's price of the whole cycle.
    percent: 2.5 means 2.5 %. fixed_fee: of each transaction. minimum_fee: PERCENTAGE's least for the period.
    minimum_without_transactions: whether the minimum fee is due in a period without any.
    free_transactions, free_amount: free of the rate, and with both of the fixed fee too.
    min_per_transaction, max_per_transaction: bounds of what one transaction costs.
    block_size: units in a block (default 1). rate_basis: "per_block" (default) or "per_unit".
    package_size: units in a package. package_price: of each package begun.
    multiplier: DYNAMIC's, of the prices that the events carry (default 1).
    """

    model: str
    included: Decimal = ZERO
    unit_price: Decimal | None = None
    amount: Decimal | None = None
    tiers: tuple[Tier, ...] = ()
    percent: Decimal | None = None
    fixed_fee: Decimal | None = None
    minimum_fee: Decimal | None = None
    minimum_without_transactions: bool = True
    free_transactions: int | None = None
    free_amount: Decimal | None = None
    min_per_transaction: Decimal | None = None
    max_per_transaction: Decimal | None = None
    block_size: Decimal | None = None
    rate_basis: str = ""
    package_size: Decimal | None = None
    package_price: Decimal | None = None
    multiplier: Decimal | None = None


def needed(term: Decimal | None) -> Decimal:
    """A term that its model needs; billing.pricing.check has refused terms without it."""
    if term is None:
        raise ValueError("terms are checked before they are priced")
    return term


@dataclass(frozen=True, slots=True, kw_only=True)
class Billable:
    """What the allowance left to be priced.

    units: zero or more. transaction_count: the events they came from.
    transactions: their amounts in order, where they are known one by one; they add up to the units then.
    """

    units: Decimal
    transaction_count: int = 0
    transactions: tuple[Decimal, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TierCharge:
    """One row of a price: quantity × unit_price + flat_fee = amount, unrounded.

    tier: counted from 1. quantity: units, blocks or packages where those have the price, or the base of a percentage.
    """

    tier: int
    quantity: Decimal
    unit_price: Decimal
    flat_fee: Decimal
    amount: Decimal

    @classmethod
    def of(
        cls, quantity: Decimal, unit_price: Decimal, *, flat_fee: Decimal = ZERO, tier: int = 1
    ) -> TierCharge:
        return cls(
            tier=tier,
            quantity=quantity,
            unit_price=unit_price,
            flat_fee=flat_fee,
            amount=EXACT.fma(quantity, unit_price, flat_fee),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Rated:
    """A price at full precision, and the rows that add up to it."""

    amount: Decimal
    breakdown: tuple[TierCharge, ...]

    @classmethod
    def of(cls, *rows: TierCharge) -> Rated:
        return cls(amount=total(row.amount for row in rows), breakdown=rows)
