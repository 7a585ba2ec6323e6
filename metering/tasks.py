"""Metering's tasks. Each carries ids only, calls one service, and may run twice or be killed at any point."""

from __future__ import annotations

import logging
from uuid import UUID

from celery import shared_task

from aforo.kernel.errors import Problem
from aforo.tenancy.selectors.tenants import tenant_of

from .services import uploads

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
