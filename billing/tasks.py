"""Billing's tasks. Each carries ids only, calls one service, and may run twice or be killed at any point."""

from __future__ import annotations

from uuid import UUID

from celery import shared_task

from aforo.kernel.clock import now
from aforo.tenancy.selectors.tenants import tenant_of

from .selectors.contracts import contracts_renewing
from .selectors.subscriptions import subscriptions_due
from .services import bill_runs
from .services.contracts import contracts_renew
from .services.standings import standings_keep
from .services.subscriptions import subscriptions_advance
from .services.wallet_upkeep import wallets_keep


@shared_task(name="billing.bill_run_fan_out")
def bill_run_fan_out(tenant_id: int, run_id: str) -> None:
    bill_runs.bill_run_fan_out(tenant=tenant_of(tenant_id), run_id=UUID(run_id))


@shared_task(name="billing.bill_run_draft")
def bill_run_draft(tenant_id: int, run_id: str) -> None:
    bill_runs.bill_run_draft(tenant=tenant_of(tenant_id), run_id=UUID(run_id))


@shared_task(name="billing.bill_run_issue")
def bill_run_issue(tenant_id: int, run_id: str) -> None:
    """Some invoices; the rest is another task, so that none of them takes long."""
    tenant = tenant_of(tenant_id)
    if not bill_runs.bill_run_issue(tenant=tenant, run_id=UUID(run_id)):
        bill_runs.bill_run_queue(tenant=tenant, run_id=UUID(run_id))


@shared_task(name="billing.bill_runs_resume")
def bill_runs_resume() -> None:
    bill_runs.bill_runs_resume()


@shared_task(name="billing.subscriptions_advance")
def subscriptions_advance_due() -> None:
    as_of = now()
    for tenant_id in subscriptions_due(as_of).order_by().values_list("tenant_id", flat=True).distinct():
        subscriptions_advance(tenant=tenant_of(tenant_id), as_of=as_of)


@shared_task(name="billing.wallets_keep")
def wallets_keep_due() -> None:
    wallets_keep(as_of=now())


@shared_task(name="billing.contracts_renew")
def contracts_renew_due() -> None:
    as_of = now()
    for tenant_id in contracts_renewing().order_by().values_list("tenant_id", flat=True).distinct():
        contracts_renew(tenant=tenant_of(tenant_id), as_of=as_of)


@shared_task(name="billing.standings_keep")
def standings_keep_due() -> None:
    standings_keep()
