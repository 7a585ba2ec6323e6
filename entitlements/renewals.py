"""What a site and the centre say to each other about leases; over HTTP as JSON, and by plain calls in the centre itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from .records import LeaseRecord


class LeaseRequest(msgspec.Struct, frozen=True):
    """A site wants units, or gives some back.

    lease: of whose numbers it speaks; None where it has none. have: units granted as far as it knows. returned: units it has
    given back in all.
    """

    customer: str
    feature: str
    have: int = 0
    returned: int = 0
    lease: int | None = None


class LeaseReply(msgspec.Struct, frozen=True):
    """lease: its totals; None where the feature has no lease at all."""

    customer: str
    feature: str
    window_start_ms: int | None = None
    lease: LeaseRecord | None = None


class Centre(Protocol):
    """Whoever hands out units. Raises OSError or django.db.Error where it cannot be asked."""

    def renew(self, tenant: str, edge: str, epoch: str, requests: Sequence[LeaseRequest]) -> list[LeaseReply]:
        """The replies in the order of the requests. tenant: as "acme_corp/live"."""
