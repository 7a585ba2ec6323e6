"""Top-ups: money asked for, by a wallet's rule or by somebody, which a payment turns into a grant.

    PENDING ─confirm─▶ PAID       one CASH grant, however often the payment is told
        └────fail────▶ FAILED

Here is the door for whoever knows of payments: finance, for a bank transfer, or a payment provider's adapter.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import row_save

from ..ledger.wallets import grant_book
from ..locks import wallet_of_id_locked
from ..models import Wallet, WalletGrant, WalletTopUp, WalletTopUpRule
from ..selectors.wallets import top_up_for
from .amounts import amount_check, amount_text
from .wallet_upkeep import brought_up

Status = WalletTopUp.Status


@transaction.atomic
def top_up_rule_set(
    *,
    tenant: Tenant,
    wallet_id: UUID,
    threshold: Decimal | str,
    amount: Decimal | str,
    cool_off_minutes: int = 60,
    monthly_max: Decimal | str | None = None,
    is_active: bool = True,
) -> WalletTopUpRule:
    """Set a wallet's rule, in place of the one it has; one whose threshold is passed already asks at once.

    Locks the wallet. Raises Problem not_found or input_invalid.

    threshold 10.00, amount 50.00: with 12.00 available, a hold of 3.00 leaves 9.00 and asks for 50.00.
    """
    wallet = wallet_of_id_locked(tenant, wallet_id)
    rule = WalletTopUpRule(
        tenant=tenant,
        wallet=wallet,
        threshold=threshold,
        amount=amount,
        cool_off_minutes=cool_off_minutes,
        monthly_max=monthly_max,
        is_active=is_active,
    )
    rule._state.adding = not WalletTopUpRule.objects.filter(wallet=wallet).exists()
    row_save(rule)
    for field in ("threshold", "amount", "monthly_max"):
        amount_check(getattr(rule, field), wallet.currency, field=field)
    brought_up(wallet, now())
    rule.refresh_from_db()
    return rule


@transaction.atomic
def wallet_top_up_request(*, tenant: Tenant, wallet_id: UUID, amount: Decimal | str) -> WalletTopUp:
    """Ask for money by hand; a wallet has one top-up in flight.

    Locks the wallet. Raises Problem not_found, input_invalid, or state_conflict while another is pending.
    """
    wallet = wallet_of_id_locked(tenant, wallet_id)
    pending = wallet.top_ups.filter(status=Status.PENDING).first()
    if pending is not None:
        said = amount_text(pending.amount, wallet.currency)
        raise Problem(
            "state_conflict",
            f"A top-up of {said} {wallet.currency} is pending; confirm or fail it first.",
            top_up_id=str(pending.pk),
        )
    top_up = WalletTopUp(tenant=tenant, wallet=wallet, amount=amount, requested_at=now())
    row_save(top_up)
    amount_check(top_up.amount, wallet.currency, field="amount")
    return top_up


@transaction.atomic
def wallet_top_up_confirm(
    *, tenant: Tenant, wallet_id: UUID, top_up_id: UUID, payment_reference: str
) -> WalletTopUp:
    """A payment has come: the top-up is PAID, and its amount a CASH grant, booked.

    payment_reference: the payment's own name. Told again, by many at once, it is one grant.
    Locks the wallet. Raises Problem not_found, input_invalid, already_exists where the payment has paid another top-up,
    or state_conflict where another payment has paid this one, or it failed.
    """
    wallet = wallet_of_id_locked(tenant, wallet_id)
    top_up = top_up_for(tenant, wallet, top_up_id)
    if top_up.status == Status.PAID and top_up.payment_reference == payment_reference:
        return top_up
    _pending_check(top_up)
    at = now()
    top_up.grant = WalletGrant.objects.create(
        tenant=tenant,
        wallet=wallet,
        kind=WalletGrant.Kind.CASH,
        amount=top_up.amount,
        starts_at=at,
        created_at=at,
    )
    grant_book(top_up.grant)
    top_up.payment_reference = payment_reference
    _closed(wallet, top_up, Status.PAID, at)
    return top_up


@transaction.atomic
def wallet_top_up_fail(*, tenant: Tenant, wallet_id: UUID, top_up_id: UUID, failure: str) -> WalletTopUp:
    """No payment will come; the rule may ask again after its cool-off. Failing again changes nothing.

    failure: why, in a sentence. Locks the wallet. Raises Problem not_found, input_invalid, or state_conflict for a paid one.
    """
    wallet = wallet_of_id_locked(tenant, wallet_id)
    top_up = top_up_for(tenant, wallet, top_up_id)
    if top_up.status == Status.FAILED:
        return top_up
    _pending_check(top_up)
    top_up.failure = failure
    _closed(wallet, top_up, Status.FAILED, now())
    return top_up


def _pending_check(top_up: WalletTopUp) -> None:
    if top_up.status == Status.PAID:
        raise Problem(
            "state_conflict",
            f"The payment {top_up.payment_reference!r} has paid this top-up; put another one in as a grant.",
        )
    if top_up.status == Status.FAILED:
        raise Problem(
            "state_conflict", "This top-up failed; put a payment that came after all in as a grant."
        )


def _closed(wallet: Wallet, top_up: WalletTopUp, status: str, at: datetime) -> None:
    top_up.status, top_up.closed_at = status, at
    row_save(top_up)
    brought_up(wallet, at)
