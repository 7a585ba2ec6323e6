"""Every refusal the product can give: one list of codes that feeds code, docs and tests.

Problem                 what a caller did or met; becomes an RFC 9457 answer
Refusal                 the same as a value: why one event was not accepted
(anything else)         a programmer's mistake; it stops the work
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PROBLEM_BASE = "https://aforo.space/problems/"


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One kind of refusal: its code (snake_case), HTTP status, title, and what the reader can do about it."""

    code: str
    status: int
    title: str
    remedy: str

    @property
    def uri(self) -> str:
        return PROBLEM_BASE + self.code.replace("_", "-")


def _catalogue(*rows: tuple[str, int, str, str]) -> dict[str, ProblemType]:
    return {row[0]: ProblemType(*row) for row in rows}


# In order of precedence: the checks of a request run in this order, and the docs and tests walk the same list.
PROBLEMS = _catalogue(
    ("key_missing", 401, "No API key", "Send the header Authorization: Bearer sk_live_…"),
    ("key_unknown", 401, "API key is unknown", "Check the key; a rotated or mistyped key is not accepted."),
    ("key_revoked", 401, "API key is revoked", "Create a new key in the developer console."),
    (
        "environment_wrong",
        401,
        "API key belongs to the other environment",
        "Use a live key on a live-only host.",
    ),
    (
        "signature_invalid",
        401,
        "Signature is not valid",
        "Sign the raw body with the source's current secret, and check the source in the address.",
    ),
    (
        "signature_expired",
        401,
        "Delivery is too old",
        "Sign each attempt anew, with the time of the attempt; check the sender's clock.",
    ),
    ("scope_missing", 403, "API key lacks the scope", "Create a key with the scope named here."),
    (
        "tenant_mismatch",
        403,
        "Tenant header disagrees with the key",
        "Leave X-Tenant-Id out or send the key's tenant.",
    ),
    ("not_found", 404, "Not found", "Check the identifier; other tenants' objects are never found."),
    ("method_not_allowed", 405, "Method not allowed", "Use one of the methods in the Allow header."),
    ("not_acceptable", 406, "Answer not available in that form", "Ask for application/json."),
    (
        "body_too_large",
        413,
        "Body is too large",
        "Send less at once: at most `bytes_max` bytes, counted after decompression.",
    ),
    ("media_type_unsupported", 415, "Media type is not supported", "Send JSON, NDJSON or CloudEvents."),
    (
        "encoding_unsupported",
        415,
        "Content encoding is not supported",
        "Send gzip, zstd, lz4 or no encoding.",
    ),
    ("encoding_broken", 400, "Body cannot be decompressed", "Check that the body matches Content-Encoding."),
    (
        "body_unreadable",
        400,
        "Body is not valid JSON",
        "Send one JSON object, an array, or one object a line.",
    ),
    ("body_too_deep", 400, "JSON is nested too deeply", "Nest at most 32 levels."),
    ("batch_empty", 400, "No event in the body", "Send at least one event."),
    ("batch_too_large", 413, "Too many events in one request", "Send at most 10,000 events a request."),
    ("fields_missing", 422, "Required fields are missing", "Send every field that `missing` lists."),
    ("field_invalid", 422, "A field has a wrong value", "Correct every field that `errors` lists."),
    (
        "timestamp_in_future",
        422,
        "Event lies in the future",
        "Check the sender's clock; 5 minutes are tolerated.",
    ),
    ("timestamp_too_old", 422, "Event is too old", "Events are accepted for 90 days."),
    (
        "metric_unknown",
        422,
        "No meter listens to this metric",
        "Create the meter, then replay the dead letter.",
    ),
    ("customer_unknown", 422, "Customer is unknown", "Create the customer, then replay the dead letter."),
    (
        "quantity_negative",
        422,
        "Quantity is negative",
        "Let the meter allow negative quantities, or send zero or more.",
    ),
    (
        "idempotency_conflict",
        409,
        "Key was used for another event",
        "Give each event its own idempotency key.",
    ),
    (
        "storage_refused",
        422,
        "The store could not keep this event",
        "Look at the dead letter's detail, correct it, replay it.",
    ),
    (
        "not_entitled",
        403,
        "Not entitled to this feature",
        "Give the plan, offering, contract or customer the feature.",
    ),
    (
        "subscription_inactive",
        403,
        "No subscription in force",
        "Start, resume or pay the customer's subscription.",
    ),
    ("wallet_empty", 403, "Wallet is empty", "Top the customer's wallet up."),
    (
        "unknown_customer",
        403,
        "Customer is unknown at the gateway",
        "Create the customer; the site knows it a second later.",
    ),
    (
        "unknown_feature",
        403,
        "Feature is unknown at the gateway",
        "Create the feature, or correct featureKey.",
    ),
    ("quota_exceeded", 429, "Quota is used up", "Wait for Retry-After seconds, or raise the limit."),
    (
        "rate_limited_margin",
        429,
        "Calls are limited by the margin guard",
        "Wait for Retry-After seconds; the provider's margin policy decides.",
    ),
    (
        "service_restricted_margin",
        429,
        "Service is restricted by the margin guard",
        "Wait for Retry-After seconds; the provider's margin policy decides.",
    ),
    ("rate_limited", 429, "Too many requests", "Wait for Retry-After seconds."),
    (
        "storage_unavailable",
        503,
        "Nothing durable is reachable",
        "Keep the events and retry after Retry-After seconds.",
    ),
    ("input_invalid", 422, "The request has invalid fields", "Correct every field that `errors` lists."),
    ("state_conflict", 409, "The object's state does not allow this", "Read `detail` for the legal moves."),
    (
        "wallet_insufficient",
        402,
        "Wallet has too little money",
        "Top the wallet up, or ask for at most `available`.",
    ),
    (
        "events_archived",
        409,
        "Events lie in the archive",
        "Ask for what buckets hold (whole hours of COUNT, SUM, MAX …), or let an operator restore the month.",
    ),
    (
        "already_exists",
        409,
        "An object with this identity exists",
        "Use another code, or change the existing object.",
    ),
    (
        "idempotency_reused",
        409,
        "Idempotency key was used for another request",
        "Send another Idempotency-Key with another request.",
    ),
    ("bill_run_active", 409, "A bill run for this window is under way", "Wait for it, or read its progress."),
    ("internal", 500, "Something went wrong on our side", "Retry; if it persists, report the request id."),
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why one event was not accepted; a value, not an exception.

    code: a key of PROBLEMS. detail: one sentence with the numbers that matter. facts: the same as data.
    """

    code: str
    detail: str
    facts: Mapping[str, Any] = field(default_factory=dict)


class Problem(Exception):
    """A refusal that ends the request; becomes problem details (RFC 9457).

    Problem("timestamp_too_old", "2025-11-01T00:00:00Z is 140 days before receipt; up to 90 are accepted.",
            age_days=140, age_days_max=90)
    headers: that go with the answer, beside Retry-After.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
        **facts: Any,
    ) -> None:
        super().__init__(detail)
        self.type = PROBLEMS[code]
        self.code = code
        self.detail = detail
        self.retry_after_s = retry_after_s
        self.headers = headers or {}
        self.facts = facts

    @classmethod
    def of(cls, refusal: Refusal) -> Problem:
        """The refusal of a single event as the answer to its request."""
        return cls(refusal.code, refusal.detail, **refusal.facts)

    @property
    def status(self) -> int:
        return self.type.status

    def document(self) -> dict[str, Any]:
        """The body of the answer: type, title, status, detail, code, remedy, then the facts."""
        return {
            "type": self.type.uri,
            "title": self.type.title,
            "status": self.type.status,
            "detail": self.detail,
            "code": self.code,
            "remedy": self.type.remedy,
            **self.facts,
        }
