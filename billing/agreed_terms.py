"""Agreed terms: a subscription's contracts as the pipeline takes them, read for `loading`.

A commitment over several billing periods needs to know what the earlier ones came to: the lines of their invoices, drafts
included, and whatever has adjusted them since. Nothing is kept beside the lines, so a draft that is made again, a void
invoice and a late event are counted right by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from aforo.kernel.decimals import EXACT, total
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period, local_midnight

from . import proof
from .calculators.price import terms_of
from .models import Contract, ContractCommitment, Invoice, InvoiceLine, Subscription
from .pipeline import state as values
from .pipeline.contracts import commitment_spans, counts, is_present, own_line
from .selectors.periods import LOOKED_AFTER, subscription_cycle
from .selectors.timeline import plain_code


def priced(
    charges: Iterable[values.Charge], subscription: Subscription, on: date
) -> tuple[values.Charge, ...]:
    """The charges at the prices of the contract in force on a day, where it has any.

    A price is of a charge's own code: that of base holds for base@starter-v1, too.
    """
    agreed = {
        price.charge: (row.code, terms_of(price.model, price.terms, "terms"))
        for row in subscription.contracts.all()
        if row.starts_on <= on and (row.ends_on is None or on < row.ends_on)
        for price in row.prices.all()
    }
    return tuple(
        replace(charge, terms=terms, priced_by=contract)
        for charge in charges
        for contract, terms in [agreed.get(plain_code(charge.code), ("", charge.terms))]
    )


def agreed_terms(subscription: Subscription, period: Period, cycle: Period) -> tuple[values.Contract, ...]:
    """The contracts that meet the billed part of a cycle, and those whose commitments it may still correct; by code.

    Raises Problem state_conflict for a contract in another currency than the plan's.
    """
    contracts: list[values.Contract] = []
    for row in sorted(subscription.contracts.all(), key=lambda row: row.code):
        term = _term(row, subscription, cycle)
        is_met = term.overlap(period) is not None
        if not is_met and not (row.commitments.all() and term.end <= period.start < term.end + LOOKED_AFTER):
            continue
        _currency_check(row, subscription)
        contracts.append(_contract(row, subscription, term, cycle))
    return tuple(contracts)


def _term(row: Contract, subscription: Subscription, cycle: Period) -> Period:
    zone = subscription.customer.zone
    starts_at = local_midnight(row.starts_on, zone)
    return Period(starts_at, local_midnight(row.ends_on, zone) if row.ends_on else max(cycle.end, starts_at))


def _currency_check(row: Contract, subscription: Subscription) -> None:
    currency = subscription.offering.currency
    if row.currency != currency:
        raise Problem(
            "state_conflict", f"The contract {row.code!r} is in {row.currency}, and the plan in {currency}."
        )


def _contract(row: Contract, subscription: Subscription, term: Period, cycle: Period) -> values.Contract:
    contract = values.Contract(
        code=row.code,
        term=term,
        minimum_amount=row.minimum_amount,
        maximum_amount=row.maximum_amount,
        discount_percent=row.discount_percent,
        commitments=tuple(
            commitment
            for each in row.commitments.all()
            for commitment in _running(each, subscription, term, cycle)
        ),
        discounts=tuple(
            values.ContractDiscount(
                percent=each.percent,
                threshold=each.threshold,
                threshold_meter=each.threshold_meter.key if each.threshold_meter else "",
                product=each.product.code if each.product else "",
                meter=each.meter.key if each.meter else "",
            )
            for each in row.discounts.all()
        ),
    )
    if not contract.commitments:
        return contract
    begins_at = min(each.spans[0].start for each in contract.commitments)
    billed = _billed(subscription, Period(begins_at, cycle.start))
    counted = (_counted(each, contract, billed, cycle) for each in contract.commitments)
    return replace(contract, commitments=tuple(each for each in counted if each is not None))


def _running(
    row: ContractCommitment, subscription: Subscription, term: Period, cycle: Period
) -> Iterator[values.Commitment]:
    """The commitment period that holds the cycle, and the one before it; nothing is counted yet."""
    periods = subscription_cycle(subscription)
    at = cycle.start if cycle.start < term.end else term.end - timedelta.resolution
    at = max(at, term.start)
    for _ in range(2):
        spans = commitment_spans(
            periods, starts_at=term.start, at=at, period=row.period, true_up=row.true_up or row.period
        )
        whole = Period(spans[0].start, spans[-1].end)
        active = _active(row.contract, subscription, term, whole)
        if active is not None:
            yield values.Commitment(
                kind=row.kind,
                amount=row.amount,
                product=row.product.code if row.product else "",
                meter=row.meter.key if row.meter else "",
                spans=spans,
                active=active,
            )
        if whole.start <= term.start:
            return
        at = whole.start - timedelta.resolution


def _active(row: Contract, subscription: Subscription, term: Period, whole: Period) -> Period | None:
    """The part of a commitment period in which the contract and the subscription run."""
    open_at = whole.end
    ends = (open_at if row.ends_on is None else term.end, subscription.ends_at or open_at, whole.end)
    start, end = max(term.start, subscription.starts_at, whole.start), min(ends)
    return Period(start, end) if start < end else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _BilledLine:
    """A line of the invoice of a period, or of a later one that adjusts it. net: after discounts."""

    period_start: datetime
    kind: str
    code: str
    amount: Decimal
    net: Decimal
    charges: Mapping[str, proof.SealedCharge]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Billed:
    """What periods were billed. numbers: of their invoices, by the start of the period, in order."""

    lines: tuple[_BilledLine, ...]
    numbers: tuple[tuple[datetime, str], ...]


def _billed(subscription: Subscription, window: Period) -> _Billed:
    """What the periods that begin in the window were billed: by their invoices, drafts included, and by adjustments since.

    What the invoice of the window's end itself adjusts is not billed yet, however often it is drafted.
    """
    periods = list(
        Invoice.objects.of(subscription.tenant)
        .filter(subscription=subscription, period_start__gte=window.start, period_start__lt=window.end)
        .order_by("period_start", "sequence")
        .only("number", "status", "period_start", "sealed_input")
    )
    by_number = {invoice.number: invoice for invoice in periods if invoice.number}
    live = {invoice.pk: invoice for invoice in periods if invoice.status != Invoice.Status.VOID}
    rows = list(
        InvoiceLine.objects.of(subscription.tenant)
        .filter(invoice__in=live, adjusts="")
        .exclude(kind=InvoiceLine.Kind.DISCOUNT)
        .order_by("pk")
    )
    adjusting = (
        InvoiceLine.objects.of(subscription.tenant)
        .filter(invoice__subscription=subscription, adjusts__in=by_number)
        .exclude(invoice__status=Invoice.Status.VOID)
        .exclude(invoice__period_start=window.end)
        .order_by("pk")
    )
    charges = {invoice.pk: proof.sealed_charges(bytes(invoice.sealed_input)) for invoice in periods}
    placed = [(live[row.invoice_id], row) for row in rows]
    placed += [(by_number[row.adjusts], row) for row in adjusting]
    return _Billed(
        lines=tuple(
            _BilledLine(
                period_start=invoice.period_start,
                kind=row.kind,
                code=row.code,
                amount=row.amount,
                net=EXACT.add(row.amount, row.discount),
                charges=charges[invoice.pk],
            )
            for invoice, row in placed
        ),
        numbers=tuple((invoice.period_start, invoice.number) for invoice in live.values() if invoice.number),
    )


def _counted(
    commitment: values.Commitment, contract: values.Contract, billed: _Billed, cycle: Period
) -> values.Commitment | None:
    """The commitment with what its earlier periods came to; None where it is over and nothing was issued under it."""
    whole = Period(commitment.spans[0].start, commitment.spans[-1].end)
    lines = [line for line in billed.lines if line.period_start in whole]
    own = own_line(commitment, contract)
    counted = [
        line
        for line in lines
        if counts(line.kind, line.code, commitment=commitment, contract=contract, charges=line.charges)
    ]
    settled = [line for line in lines if (line.kind, line.code) == own]
    invoices = tuple(number for start, number in billed.numbers if start in whole)
    if not invoices and not is_present(commitment, cycle):
        return None
    return replace(
        commitment,
        counted=total(line.amount for line in counted),
        settled=total(line.amount for line in settled),
        paid=total(line.net for line in (*counted, *settled)),
        invoices=invoices,
    )
