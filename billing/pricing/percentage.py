"""PERCENTAGE: a share of the amounts metered, with a fixed fee a transaction and bounds."""

from __future__ import annotations

from decimal import Decimal

from aforo.kernel.decimals import EXACT, total

from .terms import ZERO, Billable, InvalidTerms, Rated, Terms, TierCharge, needed

NEEDS = frozenset({"percent"})
ALLOWS = frozenset(
    {
        "included",
        "fixed_fee",
        "minimum_fee",
        "minimum_without_transactions",
        "free_transactions",
        "free_amount",
        "min_per_transaction",
        "max_per_transaction",
    }
)
# Terms that the sum of the transactions cannot answer.
ONE_BY_ONE = ("free_transactions", "free_amount", "min_per_transaction", "max_per_transaction")


def check(terms: Terms) -> None:
    least, most = terms.min_per_transaction, terms.max_per_transaction
    if least is not None and most is not None and least > most:
        raise InvalidTerms("min_per_transaction", "is above max_per_transaction")


def price(billable: Billable, terms: Terms) -> Rated:
    """The rate on every amount, the fixed fee for every transaction, at least the minimum fee in all.

    Raises InvalidTerms where a term of ONE_BY_ONE is given and the transactions are not.

    2.5 % of 100 is 2.50, and with a minimum fee of 10 a second row of 7.50 makes it 10.00.
    """
    rows = _by_transaction(billable, terms) if billable.transactions else _by_sum(billable, terms)
    amount = total(row.amount for row in rows)
    minimum = terms.minimum_fee or ZERO
    is_due = billable.transaction_count > 0 or billable.units > 0 or terms.minimum_without_transactions
    if is_due and amount < minimum:
        rows.append(TierCharge.of(ZERO, ZERO, flat_fee=EXACT.subtract(minimum, amount)))
    return Rated.of(*rows)


def _by_sum(billable: Billable, terms: Terms) -> list[TierCharge]:
    for name in ONE_BY_ONE:
        if getattr(terms, name) and billable.transaction_count:
            raise InvalidTerms(name, "needs the transactions one by one, and only their sum is known")
    fees = EXACT.multiply(terms.fixed_fee or ZERO, Decimal(billable.transaction_count))
    if not billable.units and not fees:
        return []
    return [TierCharge.of(billable.units, _rate(terms), flat_fee=fees)]


def _by_transaction(billable: Billable, terms: Terms) -> list[TierCharge]:
    rate, fixed_fee = _rate(terms), terms.fixed_fee or ZERO
    free = _rate_free(billable.transactions, terms)
    base = fees = adjustment = running = ZERO
    for index, amount in enumerate(billable.transactions):
        running = EXACT.add(running, amount)
        rated = EXACT.subtract(amount, min(amount, free))
        free = EXACT.subtract(free, min(amount, free))
        is_free_of_fee = _is_free_of_fee(index, running, terms)
        fee = ZERO if is_free_of_fee else fixed_fee
        cost = EXACT.fma(rated, rate, fee)
        base, fees = EXACT.add(base, rated), EXACT.add(fees, fee)
        # Bounds are for transactions that cost something; a wholly free one stays free.
        if rated or fee or not (amount or is_free_of_fee):
            adjustment = EXACT.add(adjustment, EXACT.subtract(_bounded(cost, terms), cost))
    rows = [TierCharge.of(base, rate, flat_fee=fees)] if base or fees else []
    if adjustment:
        rows.append(TierCharge.of(ZERO, ZERO, flat_fee=adjustment))
    return rows


def _rate_free(transactions: tuple[Decimal, ...], terms: Terms) -> Decimal:
    """The part of the amounts that is free of the rate; it is used up from the first transaction on."""
    first = total(transactions[: terms.free_transactions or 0])
    if terms.free_transactions and terms.free_amount:
        return min(first, terms.free_amount)
    return first if terms.free_transactions else (terms.free_amount or ZERO)


def _is_free_of_fee(index: int, running: Decimal, terms: Terms) -> bool:
    if not terms.free_transactions and not terms.free_amount:
        return False
    is_early = not terms.free_transactions or index < terms.free_transactions
    return is_early and (not terms.free_amount or running < terms.free_amount)


def _bounded(cost: Decimal, terms: Terms) -> Decimal:
    if terms.min_per_transaction is not None:
        cost = max(cost, terms.min_per_transaction)
    if terms.max_per_transaction is not None:
        cost = min(cost, terms.max_per_transaction)
    return cost


def _rate(terms: Terms) -> Decimal:
    return EXACT.scaleb(needed(terms.percent), -2)
