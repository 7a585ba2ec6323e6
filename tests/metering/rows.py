"""Sending into the log and reading back the rows that the writer made."""

from __future__ import annotations

import json
from typing import Any

from aforo.kernel.clock import now
from aforo.kernel.identifiers import random_bits_63
from metering import log
from metering.event import Submission
from metering.models import Tally
from tests.workspaces import Workspace


def submission(to: Workspace, body: Any, **changes: Any) -> Submission:
    """A submission of a workspace, received now; a body that is not bytes is written as JSON."""
    fields: dict[str, Any] = {
        "tenant_id": to.tenant.pk,
        "tenant_slug": to.tenant.slug,
        "api_key_id": None,
        "received_at": now(),
        "intake_id": random_bits_63(),
        "content_type": "application/json",
        "body": body if isinstance(body, bytes) else json.dumps(body).encode(),
    }
    return Submission(**{**fields, **changes})


def append(to: Workspace, body: Any, **changes: Any) -> Submission:
    """Append to the log; returns what was appended."""
    sent = submission(to, body, **changes)
    log.append(sent)
    return sent


def call(key: str, quantity: Any = 1, **more: Any) -> dict[str, Any]:
    """An event of the quick start's meter and customer."""
    return {
        "idempotency_key": key,
        "customer_id": "cust_abc",
        "metric": "api.call",
        "quantity": quantity,
        **more,
    }


def tally(of: Workspace) -> dict[str, int]:
    """What the tally counts over all days, without what it counts none of."""
    names = ("received", "accepted", "duplicates", "dead_letters", "late", "copies")
    rows = Tally.objects.filter(tenant=of.tenant).values_list(*names)
    sums = [sum(column) for column in zip(*rows, strict=True)]
    return {name: count for name, count in zip(names, sums, strict=False) if count}
