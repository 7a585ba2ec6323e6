"""What the steps of intake share: the request's side of a verdict, and the event as far as it has come."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec

from aforo.kernel.errors import Problem

from ..event import Submission
from ..ports import Directory
from ..raw_events import RawEvents
from .cloud_events import is_cloud_event

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FUTURE_MAX = timedelta(minutes=5)
AGE_MAX = timedelta(days=90)
LATE_AFTER = timedelta(hours=24)

# Gateways' five-line configuration carries no tenant; it alone still comes from the key in strict mode.
GATEWAY_SOURCES = frozenset({"kong", "aws-apigw", "apigee", "azure-apim", "mulesoft"})


class Receipt(msgspec.Struct, frozen=True):
    """A submission with what is the same for all of its events, computed once.

    key: of the envelope or the header Idempotency-Key, from which events without a key get theirs; None where neither is.
    lines: of the file, see RawEvents. is_cloud_event: by the media type, each of them is one.
    latest, earliest: the last and first instant accepted, both inclusive. late_before: older is late.
    """

    submission: Submission
    directory: Directory
    is_single: bool
    has_escapes: bool
    received_at: datetime
    latest: datetime
    earliest: datetime
    late_before: datetime
    is_tenant_demanded: bool
    key: str | None
    lines: Sequence[int]
    is_cloud_event: bool


def receipt_of(submission: Submission, directory: Directory, raws: RawEvents) -> Receipt:
    """The receipt of a submission with the raw events of its body.

    Raises Problem("tenant_mismatch") where the header X-Tenant-Id disagrees with the key.
    """
    header = submission.tenant_header
    if header is not None and header != submission.tenant_slug:
        raise Problem(
            "tenant_mismatch", f"X-Tenant-Id is {header[:64]!r}; the key belongs to another tenant."
        )
    received_at = (submission.judged_at or submission.received_at).astimezone(UTC)
    return Receipt(
        submission=submission,
        directory=directory,
        is_single=raws.is_single,
        has_escapes=raws.has_escapes,
        received_at=received_at,
        latest=received_at + FUTURE_MAX,
        earliest=received_at - AGE_MAX,
        late_before=received_at - LATE_AFTER,
        is_tenant_demanded=(
            submission.is_strict and header is None and submission.source not in GATEWAY_SOURCES
        ),
        key=submission.idempotency_header if raws.key is None else raws.key,
        lines=raws.lines,
        is_cloud_event=is_cloud_event({}, submission.content_type),
    )


class Draft(msgspec.Struct, gc=False):
    """An event between two steps; each step fills in its part.

    raw: the event as received. key: "" where it has none. time: its timestamp as sent, None where none was.
    """

    raw: Any
    index: int
    key: str = ""
    customer_id: str = ""
    metric: str = ""
    quantity: Decimal = Decimal(1)
    source: str = ""
    properties: dict[str, Any] = {}
    time: Any = None
    timestamp: datetime = EPOCH
    is_late: bool = False
    fingerprint: int = 0
    identity: bytes = b""
