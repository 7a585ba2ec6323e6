"""Invoices: previewed, drafted and issued; load, run, post."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

import msgspec
from django.db import DatabaseError, InterfaceError, transaction

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant

from .. import loading, locks, pipeline, posting, proof
from ..models import Invoice, Subscription, Wallet
from ..pipeline.state import BillingState, Settlement
from ..selectors.invoices import live_invoices_for
from ..selectors.periods import has_ended, subscription_cycle
from ..selectors.subscriptions import billed_subscription_for, billed_subscriptions_for
from ..sources import Sources
from .tax_quotes import run_quoted, tax_quoted
from .wallet_upkeep import brought_up

log = logging.getLogger(__name__)


def invoice_preview(
    *, tenant: Tenant, subscription_code: str, at: datetime | None = None
) -> posting.Document:
    """The invoice of the period that holds an instant (the present one if none is given), with nothing stored.

    Raises Problem not_found, or state_conflict where the run is stopped, or nothing is held and nothing is due.
    """
    subscription = billed_subscription_for(tenant, code=subscription_code)
    cycle = subscription_cycle(subscription).period_at(at or now())
    given = loading.billing_state(tenant=tenant, subscription=subscription, cycle=cycle)
    state = tax_quoted(tenant, lambda: finished(tenant, given))
    if _is_nothing(state):
        why = "had ended before" if has_ended(subscription, cycle) else "is in its trial or paused in all of"
        raise Problem(
            "state_conflict", f"The subscription {subscription.code!r} {why} {cycle}; nothing is due."
        )
    return posting.document_of(state, subscription)


def current_usage(*, tenant: Tenant, subscription_code: str) -> BillingState:
    """The present period's run up to its rated lines, on the usage that is stored now; nothing is kept.

    Raises Problem not_found, or state_conflict where the subscription does not run now.
    """
    subscription = billed_subscription_for(tenant, code=subscription_code)
    cycle = subscription_cycle(subscription).period_at(now())
    given = loading.billing_state(tenant=tenant, subscription=subscription, cycle=cycle)
    return pipeline.run(given, until="rating")


def invoice_draft(*, tenant: Tenant, subscription_id: UUID, period: Period) -> Invoice | None:
    """The invoice of a subscription's whole period: drafted, or drafted anew; an issued one is left as it is.

    After the subscription's end it bills what has changed of earlier periods. None where nothing is held in the period, and
    nothing is due.
    Asks the tenant's tax engine, if it has one, before it locks; so never call it inside a transaction.
    Locks the subscription. Raises Problem not_found, or state_conflict where the run is stopped.
    """

    def draft() -> Invoice | None:
        (outcome,) = invoices_draft(tenant=tenant, billed=[(subscription_id, period)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return tax_quoted(tenant, draft)


def invoice_start(*, tenant: Tenant, subscription_code: str) -> Invoice:
    """What is due when billing begins, drafted before the first period is over; or drafted anew, unless it is issued.

    Without it, the invoice of the first period bills the same.
    Asks the tenant's tax engine as `invoice_draft` does. Locks the subscription. Raises Problem not_found, or state_conflict where nothing is due then, the first period has an
    invoice, or the run is stopped.
    """
    return tax_quoted(tenant, lambda: _start_drafted(tenant, subscription_code))


@transaction.atomic
def _start_drafted(tenant: Tenant, subscription_code: str) -> Invoice:
    subscription = billed_subscription_for(tenant, code=subscription_code)
    locks.subscription_locked(tenant, subscription.pk)
    existing = (
        Invoice.objects.of(tenant)
        .filter(subscription=subscription, kind=Invoice.Kind.START)
        .exclude(status=Invoice.Status.VOID)
        .first()
    )
    if existing is not None and existing.status != Invoice.Status.DRAFT:
        return existing
    state = finished(tenant, loading.start_state(tenant=tenant, subscription=subscription))
    if live_invoices_for(subscription).filter(period_start=state.cycle.start).exists():
        raise Problem(
            "state_conflict", f"The first period {state.cycle} has an invoice, which bills what was due."
        )
    if not state.lines:
        raise Problem(
            "state_conflict",
            f"The subscription {subscription.code!r} has no setup fee and no fee in advance; nothing is due at its start.",
        )
    document = posting.document_of(state, subscription, draft=existing)
    posting.drafts_post([document])
    return document.invoice


@transaction.atomic(savepoint=False)
def invoices_draft(
    *, tenant: Tenant, billed: Sequence[tuple[UUID, Period]]
) -> list[Invoice | Exception | None]:
    """The same of one period of each of many subscriptions, in their order, in a few queries for all of them.

    What cannot be drafted is an exception in its place, and stops no other.
    Locks the subscriptions. Raises Problem not_found, and what the store itself refuses: then nothing is kept.
    """
    ids = [subscription_id for subscription_id, _ in billed]
    locks.subscriptions_locked(tenant, ids)
    subscriptions = billed_subscriptions_for(tenant).in_bulk(ids)
    sources = Sources(tenant, [(subscriptions[pk], period) for pk, period in billed])
    outcomes: list[Invoice | Exception | None] = []
    documents = []
    for pk, period in billed:
        subscription = subscriptions[pk]
        try:
            outcome = _drafted(tenant, subscription, period, sources)
        except (DatabaseError, InterfaceError):
            raise
        except Problem as problem:
            outcome = problem
        except Exception as error:
            log.exception("Subscription %s could not be drafted from %s on", pk, period.start)
            outcome = error
        if isinstance(outcome, posting.Document):
            documents.append(outcome)
            outcome = outcome.invoice
        outcomes.append(outcome)
    posting.drafts_post(documents)
    return outcomes


def _drafted(
    tenant: Tenant, subscription: Subscription, period: Period, sources: Sources
) -> posting.Document | Invoice | Exception | None:
    """The document to be stored; or the invoice that is issued already; or None where there is nothing to bill."""
    existing = next(
        (each for each in sources.invoices[subscription.pk] if each.period_start == period.start), None
    )
    if existing is not None and existing.status != Invoice.Status.DRAFT:
        return existing
    state = finished(
        tenant,
        loading.billing_state(tenant=tenant, subscription=subscription, cycle=period, sources=sources),
    )
    if existing is None and _is_nothing(state):
        return None
    return posting.document_of(state, subscription, draft=existing)


def invoice_issue(*, tenant: Tenant, invoice_id: UUID) -> Invoice:
    """Give a draft its number, and book it; an invoice that is issued stays as it is.

    What a draft took from a wallet is taken again from what the wallet holds now, under its lock.
    Locks the tenant's number sequence, the invoice, and the payer's wallets where they take part.
    Raises Problem not_found, or state_conflict for a void invoice.
    """
    (outcome,) = invoices_issue(tenant=tenant, invoice_ids=[invoice_id])
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


@transaction.atomic(savepoint=False)
def invoices_issue(*, tenant: Tenant, invoice_ids: Sequence[UUID]) -> list[Invoice | Exception]:
    """The same of many, numbered in this order. What cannot be issued is an exception in its place and takes no number.

    Raises what the store itself refuses: then none of them is issued.
    """
    sequence = locks.invoice_sequence_locked(tenant)
    sequence.tenant = tenant
    found = {invoice.pk: invoice for invoice in locks.invoices_locked(tenant, invoice_ids)}
    outcomes: list[Invoice | Exception] = []
    issued: list[posting.Issuing] = []
    wallets: dict[UUID, Wallet] = {}
    for pk in invoice_ids:
        try:
            invoice = found.get(pk)
            if invoice is None:
                raise Problem("not_found", f"No invoice {pk}.")
            if invoice.status == Invoice.Status.VOID:
                raise Problem("state_conflict", "A void invoice cannot be issued; draft the period anew.")
            if invoice.status == Invoice.Status.DRAFT:
                invoice.tenant = tenant
                state = proof.unseal(bytes(invoice.sealed_input))
                if state.billing_mode != "POSTPAID":
                    # What this payer's invoice before it burns is written first.
                    if _payer(invoice) in {_payer(each.invoice) for each in issued}:
                        posting.issues_post(issued, sequence)
                        issued = []
                    wallets |= {wallet.pk: wallet for wallet in locks.wallets_locked(tenant, _payer(invoice))}
                    invoice = _paid_from_wallets(tenant, invoice, state)
                settlement = _settlement(tenant, invoice, state)
                issued.append(posting.Issuing(invoice, settlement, _terms_days(invoice)))
            outcomes.append(invoice)
        except (DatabaseError, InterfaceError):
            raise
        except Problem as problem:
            outcomes.append(problem)
        except Exception as error:
            log.exception("Invoice %s could not be issued", pk)
            outcomes.append(error)
    posting.issues_post(issued, sequence)
    for wallet in wallets.values():
        brought_up(wallet, now())
    return outcomes


def _paid_from_wallets(tenant: Tenant, invoice: Invoice, state: BillingState) -> Invoice:
    """The draft made again on what its payer's wallets hold now. Lock them first."""
    at = now()
    funds = loading.wallet_funds(tenant, _payer(invoice), state.currency, at)
    state = finished(tenant, replace(state, **funds, as_of=at))
    document = posting.document_of(state, invoice.subscription, draft=invoice)
    posting.drafts_post([document])
    return document.invoice


def _settlement(tenant: Tenant, invoice: Invoice, state: BillingState) -> Settlement:
    """What the draft's run settled; it is run again where the draft does not say, being empty or of an earlier version."""
    if invoice.settlement:
        return msgspec.convert(invoice.settlement, Settlement)
    return finished(tenant, state).settlement


def _payer(invoice: Invoice) -> Customer:
    return invoice.customer.parent or invoice.customer


def _is_nothing(state: BillingState) -> bool:
    """Whether nothing is held in the cycle, after an end, in a trial or a pause, and no earlier period is adjusted in it."""
    return not state.charges and not state.lines


def finished(tenant: Tenant, state: BillingState) -> BillingState:
    """The state after all stages. Raises TaxQuoteNeeded, or Problem state_conflict with the issues that stopped it."""
    ran = run_quoted(tenant, state)
    if ran.is_blocked:
        raise Problem(
            "state_conflict",
            " ".join(issue.sentence for issue in ran.issues if issue.severity != "warning"),
            issues=[
                {"code": issue.code, "severity": issue.severity, "subject": issue.subject}
                for issue in ran.issues
            ],
        )
    return ran


def _terms_days(invoice: Invoice) -> int:
    """The payment terms of the contract in force on the last billed day; without any, the offering's."""
    agreed = next(
        (
            contract
            for contract in invoice.subscription.contracts.all()
            if contract.payment_terms_days is not None
            and contract.starts_on <= invoice.last_on
            and (contract.ends_on is None or contract.ends_on > invoice.last_on)
        ),
        None,
    )
    return (agreed or invoice.subscription.offering).payment_terms_days
