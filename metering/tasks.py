"""Metering's tasks. Each carries ids only, calls one service, and may run twice or be killed at any point."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task

from aforo.kernel.errors import Problem
from aforo.tenancy.selectors.tenants import tenant_of, tenants_all

from .selectors.dead_letter_growth import growth_for
from .selectors.dead_letters import tenants_holding
from .services import dead_letter_runs, uploads

_logger = logging.getLogger(__name__)


@shared_task(name="metering.upload_read")
def upload_read(tenant_id: int, upload_id: str) -> None:
    """Some chunks; the rest is another task, so that none of them takes long."""
    tenant = tenant_of(tenant_id)
    try:
        is_done = uploads.upload_read(tenant=tenant, upload_id=UUID(upload_id))
    except Problem as problem:
        # Beat takes it up when the log answers again.
        _logger.warning("The upload %s waits: %s", upload_id, problem.detail)
        return
    if not is_done:
        uploads.upload_queue(tenant=tenant, upload_id=UUID(upload_id))


@shared_task(name="metering.uploads_resume")
def uploads_resume() -> None:
    uploads.uploads_resume()


@shared_task(name="metering.dead_letter_run")
def dead_letter_run(tenant_id: int, run_id: str) -> None:
    """Some steps; the rest is another task, so that none of them takes long."""
    tenant = tenant_of(tenant_id)
    if not dead_letter_runs.dead_letter_run_work(tenant=tenant, run_id=UUID(run_id)):
        dead_letter_runs.dead_letter_run_queue(tenant=tenant, run_id=UUID(run_id))


@shared_task(name="metering.dead_letter_runs_resume")
def dead_letter_runs_resume() -> None:
    dead_letter_runs.dead_letter_runs_resume()


@shared_task(name="metering.dead_letters_watch")
def dead_letters_watch() -> None:
    for tenant in tenants_all():
        growth = growth_for(tenant)
        if growth.is_alarm:
            _logger.warning("dead letters grow, tenant=%s: %s", tenant, growth)


@shared_task(name="metering.held_letters_replay")
def held_letters_replay() -> None:
    for tenant in tenants_holding():
        dead_letter_runs.held_letters_replay(tenant=tenant)
