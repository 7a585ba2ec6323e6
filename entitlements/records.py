"""What a site of the edge is told: records with versions, as the store publishes them and every site applies them.

A record of a higher version replaces one of a lower one, and never the other way round. Quantities are whole numbers in
units of 10 to the minus `places`: 4.50 GB with two places are 450.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

import msgspec

from aforo.kernel.decimals import EXACT, plain

FeatureKind = Literal["boolean", "static", "metered"]
LimitType = Literal["hard", "soft"]
# What a margin policy that is enforced does at a site; warn only adds a header.
MarginAction = Literal["none", "warn", "throttle", "downgrade", "block"]
OnUnknown = Literal["allow", "deny"]


class TenantRecord(msgspec.Struct, frozen=True, kw_only=True, tag="tenant"):
    """A tenant: what its sites answer where they do not know, and which features there are.

    tenant: slug and environment, "acme_corp/live". max_stale_s: seconds after which a site that hears nothing decides by
    on_unknown. features: the kind of each. places: the decimal places of those whose units have any.
    """

    tenant: str
    version: int
    on_unknown: OnUnknown = "allow"
    max_stale_s: int = 86_400
    features: dict[str, FeatureKind] = {}
    places: dict[str, int] = {}


class CustomerRecord(msgspec.Struct, frozen=True, kw_only=True, tag="customer"):
    """A customer: whether anything may be used at all.

    customer: its external_id. is_active: has a subscription that is in force, or needs none. plan: what answers show.
    throttle_percent: of the calls that would be allowed, this many are refused, evenly. downgrades: what to serve instead,
    {"gpt-4o": "gpt-4o-mini"}. is_removed: the customer is gone.
    """

    tenant: str
    customer: str
    version: int
    as_of_ms: int
    is_active: bool = True
    plan: str = ""
    is_wallet_empty: bool = False
    margin_level: int = 0
    margin_action: MarginAction = "none"
    throttle_percent: int = 0
    retry_after_s: int = 0
    downgrades: dict[str, str] = {}
    is_removed: bool = False


class LeaseRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What one site may admit of a hard quota in the record's window; granted and settled only ever grow.

    lease: its number in the store. edge, epoch: the site, and the life of its Redis, that hold it.
    granted: units handed out so far. settled: units of its reservations that are billed usage by now.
    has_more: units of the quota are left that the site does not have; None where nobody has counted.
    is_recalled: another site wants what this one does not need.
    """

    lease: int
    edge: str
    epoch: str
    granted: int
    settled: int
    has_more: bool | None = None
    is_recalled: bool = False


class FeatureRecord(msgspec.Struct, frozen=True, kw_only=True, tag="feature"):
    """What a customer may use of one feature; there is none where it is not entitled to it.

    value: of a static feature. limit: units of the window; None for no limit. used: billed usage of the window.
    window_start_ms, window_end_ms: None where nothing resets; the start of a sliding window moves and its end is None.
    next_window_end_ms, next_limit: of the window after, so that a site that is cut off turns the page by itself.
    leases: of a hard limit, the leases of the window.
    """

    tenant: str
    customer: str
    feature: str
    version: int
    as_of_ms: int
    kind: FeatureKind
    value: str | None = None
    limit: int | None = None
    limit_type: LimitType = "hard"
    used: int = 0
    places: int = 0
    window_start_ms: int | None = None
    window_end_ms: int | None = None
    next_window_end_ms: int | None = None
    next_limit: int | None = None
    plan: str = ""
    leases: tuple[LeaseRecord, ...] = ()
    is_removed: bool = False


class KeyRecord(msgspec.Struct, frozen=True, kw_only=True, tag="key"):
    """An API key, so that a site recognises it by itself.

    public_id: the key's own name. secret_hash: SHA-256 of its secret, hexadecimal. expires_at_ms: None for never.
    """

    public_id: str
    version: int
    secret_hash: str
    tenant: str
    key_id: str
    scopes: tuple[str, ...]
    rate_limit_per_s: int | None = None
    expires_at_ms: int | None = None
    is_revoked: bool = False


EdgeRecord = TenantRecord | CustomerRecord | FeatureRecord | KeyRecord


def units_text(units: int, places: int) -> str:
    """Whole units of 10 to the minus places as people write them: 450 of two places are 4.50."""
    return plain(EXACT.scaleb(Decimal(units), -places))


def milliseconds(at: datetime) -> int:
    """Since the epoch, rounded down."""
    return int(at.timestamp() * 1000)
