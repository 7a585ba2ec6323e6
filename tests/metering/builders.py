"""What the tests of metering build on: one submission, one directory, one event, each with changes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from metering.aggregation import Aggregation
from metering.event import Accepted, Refused, Submission, UsageEvent
from metering.intake import accept_all
from metering.meters import Meter
from metering.ports import CustomerRef

RECEIVED_AT = datetime(2026, 3, 15, 12, 0, tzinfo=UTC)

# All seven required fields, as strict mode wants them.
FULL = {
    "idempotency_key": "req_7f2a",
    "tenant_id": "acme_corp",
    "customer_id": "cust_abc",
    "metric": "api.call",
    "quantity": "1",
    "timestamp": "2026-03-15T11:59:00Z",
    "source": "sdk-python",
}


class FixedDirectory:
    """A tenant with the customer cust_abc, the meter api.call, and balance, which may go below zero."""

    meters = {
        "api.call": (Meter(1, "api.call", "api.call", Aggregation.COUNT),),
        "balance": (Meter(2, "balance", "balance", Aggregation.SUM, allows_negative=True),),
        "mixed": (
            Meter(3, "mixed.a", "mixed", Aggregation.SUM, allows_negative=True),
            Meter(4, "mixed.b", "mixed", Aggregation.SUM),
        ),
    }

    def meters_for(self, metric: str) -> tuple[Meter, ...]:
        return self.meters.get(metric, ())

    def customer(self, external_id: str) -> CustomerRef | None:
        return CustomerRef(1, external_id) if external_id == "cust_abc" else None

    def customers_expect(self, external_ids: Iterable[str]) -> None:
        pass

    def holds(self, code: str) -> bool:
        return False


def submission(body: Any, **changes: Any) -> Submission:
    """A submission received at 2026-03-15T12:00Z; a body that is not bytes is written as JSON."""
    fields: dict[str, Any] = {
        "tenant_id": 7,
        "tenant_slug": "acme_corp",
        "api_key_id": "7f2a9c4b",
        "received_at": RECEIVED_AT,
        "intake_id": 255,
        "content_type": "application/json",
        "body": body if isinstance(body, bytes) else json.dumps(body).encode(),
    }
    return Submission(**{**fields, **changes})


def verdicts(body: Any, **changes: Any) -> list[Accepted | Refused]:
    return accept_all(submission(body, **changes), FixedDirectory())


def accepted(event: Any, **changes: Any) -> UsageEvent:
    """The event that a body of one event becomes."""
    (one,) = verdicts(event, **changes)
    assert isinstance(one, Accepted), one
    return one.event


def refused(event: Any, **changes: Any) -> Refused:
    """The refusal of a body of one event."""
    (one,) = verdicts(event, **changes)
    assert isinstance(one, Refused), one
    return one


def event(**changes: Any) -> dict[str, Any]:
    """A full raw event with changes; a change to `...` leaves the field out."""
    return {name: value for name, value in {**FULL, **changes}.items() if value is not ...}


def fields_in_error(refusal: Refused) -> set[str]:
    return set(refusal.refusal.facts["errors"])
