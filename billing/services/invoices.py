"""Invoices: previewed, drafted and issued; load, run, post."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant

from .. import loading, locks, pipeline, posting, proof
from ..models import Invoice, Subscription
from ..pipeline.state import BillingState
from ..selectors.invoices import live_invoices_for
from ..selectors.periods import has_ended, subscription_cycle
from ..selectors.subscriptions import billed_subscription_for


def invoice_preview(
    *, tenant: Tenant, subscription_code: str, at: datetime | None = None
) -> posting.Document:
    """The invoice of the period that holds an instant (the present one if none is given), with nothing stored.

    Raises Problem not_found, or state_conflict where the run is stopped, or the subscription is over and nothing is due.
    """
    subscription = billed_subscription_for(tenant, code=subscription_code)
    cycle = subscription_cycle(subscription).period_at(at or now())
    state = _finished(loading.billing_state(tenant=tenant, subscription=subscription, cycle=cycle))
    if _is_nothing(state, subscription):
        raise Problem(
            "state_conflict",
            f"The subscription {subscription.code!r} had ended before {cycle}; nothing is due.",
        )
    return posting.document_of(state, subscription)


@transaction.atomic(savepoint=False)
def invoice_draft(*, tenant: Tenant, subscription_id: UUID, period: Period) -> Invoice | None:
    """The invoice of a subscription's whole period: drafted, or drafted anew; an issued one is left as it is.

    After the subscription's end it bills what has changed of earlier periods; None where nothing has.
    Locks the subscription. Raises Problem not_found, or state_conflict where the run is stopped.
    """
    locks.subscription_locked(tenant, subscription_id)
    subscription = billed_subscription_for(tenant, pk=subscription_id)
    existing = live_invoices_for(subscription).filter(period_start=period.start).first()
    if existing is not None and existing.status != Invoice.Status.DRAFT:
        return existing
    state = _finished(loading.billing_state(tenant=tenant, subscription=subscription, cycle=period))
    if existing is None and _is_nothing(state, subscription):
        return None
    return posting.draft_post(state, subscription, draft=existing)


@transaction.atomic(savepoint=False)
def invoice_issue(*, tenant: Tenant, invoice_id: UUID) -> Invoice:
    """Give a draft its number, and book it; an invoice that is issued stays as it is.

    What a draft took from a wallet is taken again from what the wallet holds now, under its lock.
    Locks the tenant's number sequence, the invoice, and the payer's wallet where it takes part.
    Raises Problem not_found, or state_conflict for a void invoice.
    """
    sequence = locks.invoice_sequence_locked(tenant)
    invoice = locks.invoice_locked(tenant, invoice_id)
    if invoice.status == Invoice.Status.VOID:
        raise Problem("state_conflict", "A void invoice cannot be issued; draft the period anew.")
    if invoice.status != Invoice.Status.DRAFT:
        return invoice
    subscription = invoice.subscription
    state = proof.unseal(bytes(invoice.sealed_input))
    if state.billing_mode != "POSTPAID":
        payer = invoice.customer.parent or invoice.customer
        locks.wallet_locked(tenant, payer, state.currency)
        funds = loading.wallet_funds(tenant, payer, state.currency)
        state = _finished(replace(state, wallet=funds, as_of=now()))
        invoice = posting.draft_post(state, subscription, draft=invoice)
    else:
        state = _finished(state)
    posting.issue_post(invoice, state, sequence, terms_days=_terms_days(invoice))
    return invoice


def _is_nothing(state: BillingState, subscription: Subscription) -> bool:
    """Whether the subscription had ended before the cycle, and no earlier period is adjusted in it."""
    return not state.lines and has_ended(subscription, state.cycle)


def _finished(state: BillingState) -> BillingState:
    """The state after all stages. Raises Problem state_conflict, with the issues, where one of them stopped it."""
    finished = pipeline.run(state)
    if finished.is_blocked:
        raise Problem(
            "state_conflict",
            " ".join(issue.sentence for issue in finished.issues if issue.severity != "warning"),
            issues=[
                {"code": issue.code, "severity": issue.severity, "subject": issue.subject}
                for issue in finished.issues
            ],
        )
    return finished


def _terms_days(invoice: Invoice) -> int:
    """The payment terms of the contract in force on the last billed day; without any, the offering's."""
    agreed = (
        invoice.subscription.contracts.filter(
            payment_terms_days__isnull=False, starts_on__lte=invoice.last_on
        )
        .filter(Q(ends_on=None) | Q(ends_on__gt=invoice.last_on))
        .order_by("code")
        .first()
    )
    return (agreed or invoice.subscription.offering).payment_terms_days
