"""Entitlements' tasks. Each calls one service, and may run twice or be killed at any point."""

from __future__ import annotations

from celery import shared_task

from aforo.tenancy.selectors.tenants import tenants_all

from .services.lease_retention import leases_prune
from .services.margin_guard import margins_evaluate


@shared_task(name="entitlements.margins_evaluate")
def margins_evaluate_all() -> None:
    for tenant in tenants_all():
        margins_evaluate(tenant=tenant)


@shared_task(name="entitlements.leases_prune")
def leases_prune_all() -> None:
    for tenant in tenants_all():
        leases_prune(tenant=tenant)
