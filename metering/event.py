"""The values metering passes around: what a request handed in, the event made of it, and the verdict on it.

They are msgspec structs rather than dataclasses: a frozen dataclass costs ten times as much to make, and one
is made for every event, twice (when it is received and when it is written).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from typing import Any, Literal

import msgspec

from aforo.kernel.errors import Problem, Refusal

# Where a submission came in; it decides how a body is read and what `tenantId` means.
Door = Literal["events", "meter", "compound", "upload", "webhook", "firehose", "pubsub"]

# The property by which an event of a batch says what it was reserved under at the edge.
RESERVATION = "reservation_id"
INTAKE_ID_MASK = (1 << 63) - 1
# Of a body that cannot be read this much is kept, in the log and in its dead letter.
REFUSED_BODY_BYTES_MAX = 64 * 1024

# The normalized event has these seven, always; in the order in which a refusal lists those that are missing.
REQUIRED_FIELDS = (
    "idempotency_key",
    "tenant_id",
    "customer_id",
    "metric",
    "quantity",
    "timestamp",
    "source",
)


class RefusedBody(msgspec.Struct, frozen=True, array_like=True):
    """Why a body as a whole could not be read, and what it was.

    code, detail, facts: as in the problem that its sender was answered.
    length: bytes as far as they were received. sha256: of these bytes, hexadecimal.
    """

    code: str
    detail: str
    facts: Mapping[str, Any]
    length: int
    sha256: str

    @classmethod
    def of(cls, problem: Problem, body: bytes) -> RefusedBody:
        """What is said of a body that was received whole."""
        return cls(problem.code, problem.detail, problem.facts, len(body), sha256(body).hexdigest())


class Submission(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What one request (or one replay) handed in, exactly as the durable log keeps it.

    tenant_id: the workspace and environment of the API key. tenant_slug: its name on the wire ("acme_corp").
    api_key_id: None for a replay or an upload by a person.
    received_at: an aware instant; the writer validates again against this one, never against its own clock.
    intake_id: 63 random bits; event i of the body has the intake id `intake_id_of(i)`.
    source: from the header X-Aforo-Source; None where the client sent none.
    idempotency_header, tenant_header: the headers Idempotency-Key and X-Tenant-Id, None where not sent.
    is_strict: refuse defaults. door: which endpoint.
    content_type: the header's text, None where not sent. body: decompressed.
    attributes: lower-case header names and values of a CloudEvent in binary mode (ce-id, ce-type, …).
    refused_body: set where the body could not be read; `body` is then its first 64 KiB.
    mapping: where in a webhook's payload our fields are found (mapping.py); None where it uses our own names.
    judged_at: the instant its times are checked against, where that is not the time of receipt: the replay of an event
        that was refused because it lay in the future.
    accepted: the events that intake made of the body, as `accepted_pack` packs them; None where nobody has judged it yet,
        or not all of its events were accepted.
    reservation: what its one event was reserved under at the edge, settled already; None where it was not.

    New fields go to the end and have a default, so that yesterday's log can be read.
    """

    tenant_id: int
    tenant_slug: str
    api_key_id: str | None
    received_at: datetime
    intake_id: int
    body: bytes
    source: str | None = None
    idempotency_header: str | None = None
    is_strict: bool = False
    door: Door = "events"
    content_type: str | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    tenant_header: str | None = None
    refused_body: RefusedBody | None = None
    judged_at: datetime | None = None
    mapping: Mapping[str, str] | None = None
    accepted: bytes | None = None
    reservation: str | None = None

    def refused(self, problem: Problem) -> Submission:
        """The submission as it goes into the log when its body cannot be read; it becomes one dead letter.

        An 11 MiB body: the first 64 KiB, with the length 11,534,336 and the SHA-256 of all of it.
        """
        return msgspec.structs.replace(
            self, body=self.body[:REFUSED_BODY_BYTES_MAX], refused_body=RefusedBody.of(problem, self.body)
        )

    def intake_id_of(self, index: int) -> int:
        """The intake id of the event at this place in the body, counted from 0."""
        return (self.intake_id + index) & INTAKE_ID_MASK


class UsageEvent(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """One immutable fact of usage, normalized: the seven required fields, then what belongs to them.

    customer_id: the customer's external id. quantity: exact. timestamp: an aware instant in UTC.
    is_timestamp_given: False where the timestamp is the receive time, because the client sent none.
    fingerprint: signed 64 bits over the content without its time. identity: 16 bytes of SHA-256 of the key.
    """

    idempotency_key: str
    tenant_id: int
    customer_id: str
    metric: str
    quantity: Decimal
    timestamp: datetime
    source: str
    properties: dict[str, Any]
    is_timestamp_given: bool
    fingerprint: int
    identity: bytes

    @property
    def client_time(self) -> datetime | None:
        """The timestamp the client sent, or None."""
        return self.timestamp if self.is_timestamp_given else None


class Accepted(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A valid event; is_late where it is older than 24 hours on receipt."""

    event: UsageEvent
    is_late: bool


class Refused(msgspec.Struct, frozen=True):
    """An event that cannot be accepted: why, its key where it had one, the object as received, its place.

    is_held: its tenant wants it kept until what it names is known.
    """

    refusal: Refusal
    idempotency_key: str | None
    payload: Any
    index: int
    is_held: bool = False
