"""Previews: what a change would do to the invoice of its period. The change is made by its own service, and taken back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.decimals import EXACT, total
from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant

from .. import loading
from ..models import Subscription
from ..pipeline.state import BillingState
from ..selectors.periods import subscription_cycle
from ..selectors.subscriptions import billed_subscription_for
from .invoices import finished
from .tax_quotes import tax_quoted


@dataclass(frozen=True, slots=True)
class LineChange:
    """What the lines of one kind, code and description come to, discounts included, before the change and after it."""

    kind: str
    code: str
    description: str
    before: Decimal
    after: Decimal


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """before, after: the invoice's totals. lines: those that differ, in the order of the invoice after."""

    period: Period
    currency: str
    before: Decimal
    after: Decimal
    lines: tuple[LineChange, ...]


def subscription_change_preview(
    *,
    tenant: Tenant,
    code: str,
    change: Callable[[], Subscription],
    at: datetime | None = None,
    is_at_period_end: bool = False,
) -> ChangePreview:
    """The invoice of the period in which a change takes effect, without it and with it; nothing is kept.

    change: calls the service that would make it. at, is_at_period_end: as it is given them.
    Raises Problem as that service does, and as `invoice_preview` does.

    From 31.00 to 62.00 a month on 16 March: 31.00 before, and 15.00 + 32.00 = 47.00 after.
    """
    with transaction.atomic():
        subscription = billed_subscription_for(tenant, code=code)
        cycle = subscription_cycle(subscription).period_at(at or now())
        if is_at_period_end:
            cycle = subscription_cycle(subscription).period_at(cycle.end)
        before = loading.billing_state(tenant=tenant, subscription=subscription, cycle=cycle)
        change()
        changed = billed_subscription_for(tenant, code=code)
        after = loading.billing_state(tenant=tenant, subscription=changed, cycle=cycle)
        transaction.set_rollback(True)
    # Run when the change is taken back: a tax engine is never asked inside a transaction.
    was, comes_to = (
        tax_quoted(tenant, lambda given=given: finished(tenant, given)) for given in (before, after)
    )
    return ChangePreview(
        period=cycle,
        currency=before.currency,
        before=was.settlement.totals.total,
        after=comes_to.settlement.totals.total,
        lines=_changes(was, comes_to),
    )


def _changes(before: BillingState, after: BillingState) -> tuple[LineChange, ...]:
    amounts = [_amounts(state) for state in (before, after)]
    return tuple(
        LineChange(*key, before=was, after=comes_to)
        for key in dict.fromkeys([*amounts[1], *amounts[0]])
        for was, comes_to in [(amounts[0].get(key, Decimal(0)), amounts[1].get(key, Decimal(0)))]
        if was != comes_to
    )


def _amounts(state: BillingState) -> dict[tuple[str, str, str], Decimal]:
    found: dict[tuple[str, str, str], list[Decimal]] = {}
    for line in state.lines:
        key = (line.kind, line.code, line.description)
        found.setdefault(key, []).append(EXACT.add(line.amount, line.discount))
    return {key: total(parts) for key, parts in found.items()}
