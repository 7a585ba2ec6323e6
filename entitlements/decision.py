"""May a customer use a feature now, and what is left of it: one decision from what one site knows, and nothing else.

`edge/decide.lua` makes the same decision inside a site's Redis; tests hold the two together case by case. Quantities are
whole numbers, scaled by the feature's places; instants are milliseconds since the epoch.

Quota 1,000 hard, 550 used, asked for 1: allowed, remaining 450. Reserved: 449 remain, and 551 count as used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import msgspec

from .records import CustomerRecord, FeatureRecord, LeaseRecord, OnUnknown

# A site that has heard nothing for so long says so.
STALE_AFTER_MS = 10_000
# A site whose lease is dry while the centre has units left gets more within this.
DRY_RETRY_AFTER_S = 1


class Reason(StrEnum):
    """Why a decision is as it is, in the words of the API."""

    OK = "OK"
    NOT_ENTITLED = "NOT_ENTITLED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    SUBSCRIPTION_INACTIVE = "SUBSCRIPTION_INACTIVE"
    WALLET_EMPTY = "WALLET_EMPTY"
    MARGIN_BLOCK = "MARGIN_BLOCK"
    MARGIN_THROTTLE = "MARGIN_THROTTLE"
    UNKNOWN_CUSTOMER = "UNKNOWN_CUSTOMER"
    UNKNOWN_FEATURE = "UNKNOWN_FEATURE"


@dataclass(frozen=True, slots=True)
class Site:
    """What the site knows of itself; its clients read it once a second and not for each decision.

    is_complete: everything the store publishes is here, so that what is missing does not exist. age_ms: since the store
    was last heard. is_feature_known: the tenant has a feature of this name.
    """

    is_complete: bool = True
    age_ms: int = 0
    on_unknown: OnUnknown = "allow"
    max_stale_ms: int = 86_400_000
    is_feature_known: bool = True

    @property
    def is_stale(self) -> bool:
        return self.age_ms > STALE_AFTER_MS


@dataclass(frozen=True, slots=True)
class Ask:
    """quantity: units wanted, 0 for a look. nonce: makes a reservation's id its own. ttl_ms: how long it stands."""

    quantity: int
    now_ms: int
    is_reserving: bool = False
    ttl_ms: int = 60_000
    nonce: str = ""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Units taken before they are used. id: "<lease>.<units>.<nonce>", lease 0 where no lease bounds them."""

    id: str
    expires_at_ms: int

    @property
    def lease(self) -> int:
        return int(self.id.split(".", 2)[0])

    @property
    def units(self) -> int:
        return int(self.id.split(".", 2)[1])


@dataclass(frozen=True, slots=True)
class Held:
    """What a site counts of one customer's feature beside the record.

    lease: its number, 0 for none; numbers grow, and a site goes from a lower to a higher one only. window_start_ms: of the
    window it is of. granted, returned, settled: its totals (LeaseRecord). taken: units admitted from it, less what expired or
    was released. has_more: the centre had units left when it last spoke of the lease.
    loose: units reserved without a lease. open: reservations that are not settled.
    """

    lease: int = 0
    window_start_ms: int | None = None
    granted: int = 0
    returned: int = 0
    settled: int = 0
    taken: int = 0
    has_more: bool = True
    loose: int = 0
    open: tuple[Reservation, ...] = ()

    def of_window(self, start_ms: int | None) -> Held:
        """As it counts in the window that starts then: a lease of another window is none."""
        if self.lease and self.window_start_ms == start_ms:
            return self
        return Held(loose=self.loose)

    @property
    def units(self) -> int:
        """Units that count as used and are not billed usage yet."""
        return self.taken - self.settled + self.loose

    @property
    def free(self) -> int:
        """Units of the lease that may still be admitted."""
        return self.granted - self.returned - self.taken


@dataclass(frozen=True, slots=True)
class Known:
    """All that a site knows of a customer and one feature. throttled: calls that the margin throttle has counted."""

    customer: CustomerRecord | None = None
    feature: FeatureRecord | None = None
    held: Held = field(default_factory=Held)
    throttled: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to one ask.

    limit: None for no limit, and where the feature is not metered. remaining: never below zero; None without a limit.
    window_end_ms: None where nothing resets. retry_after_s: of a refusal that ends by itself. is_low: the lease wants
    units. reservation: made by this ask.
    """

    is_allowed: bool
    reason: Reason
    is_stale: bool = False
    limit: int | None = None
    used: int = 0
    remaining: int | None = None
    window_end_ms: int | None = None
    retry_after_s: int | None = None
    is_low: bool = False
    reservation: Reservation | None = None


def decide(known: Known, ask: Ask, site: Site) -> tuple[Decision, Known]:
    """The decision, and what the site knows after it.

    A call that does not reserve changes nothing but what time has changed, and the throttle's count.
    """
    if known.customer is None or known.customer.is_removed:
        return _unknown(site, Reason.UNKNOWN_CUSTOMER), known
    if site.age_ms > site.max_stale_ms and site.on_unknown == "deny":
        return Decision(False, Reason.UNKNOWN_CUSTOMER, True), known
    if not site.is_feature_known:
        return _unknown(site, Reason.UNKNOWN_FEATURE), known
    customer, feature = known.customer, known.feature
    if not customer.is_active:
        return Decision(False, Reason.SUBSCRIPTION_INACTIVE, site.is_stale), known
    if feature is None or feature.is_removed:
        if not site.is_complete:
            return _unknown(site, Reason.NOT_ENTITLED), known
        return Decision(False, Reason.NOT_ENTITLED, site.is_stale), known
    known = replace(known, held=_expired(known.held, ask.now_ms))
    feature = at_instant(feature, ask.now_ms)
    held = known.held.of_window(feature.window_start_ms)
    used = feature.used + held.units
    seen = Decision(
        True,
        Reason.OK,
        site.is_stale,
        limit=feature.limit,
        used=used,
        remaining=None if feature.limit is None else max(0, feature.limit - used),
        window_end_ms=feature.window_end_ms,
    )
    if customer.is_wallet_empty:
        return _refused(seen, Reason.WALLET_EMPTY), known
    if customer.margin_action == "block":
        return _refused(seen, Reason.MARGIN_BLOCK, customer.retry_after_s), known
    hard_limit = feature.limit if feature.kind == "metered" and feature.limit_type == "hard" else None
    if hard_limit is not None and used + ask.quantity > hard_limit:
        return _refused(seen, Reason.QUOTA_EXCEEDED, _seconds_until(feature.window_end_ms, ask.now_ms)), known
    is_leased = (
        hard_limit is not None and ask.is_reserving and feature.window_end_ms is not None and ask.quantity > 0
    )
    if is_leased and ask.quantity > held.free:
        wait_s = DRY_RETRY_AFTER_S if held.has_more else _seconds_until(feature.window_end_ms, ask.now_ms)
        return replace(_refused(seen, Reason.QUOTA_EXCEEDED, wait_s), is_low=True), known
    if customer.margin_action == "throttle":
        before = known.throttled
        known = replace(known, throttled=before + 1)
        if (before + 1) * customer.throttle_percent // 100 > before * customer.throttle_percent // 100:
            return _refused(seen, Reason.MARGIN_THROTTLE, customer.retry_after_s), known
    if not ask.is_reserving or ask.quantity == 0 or feature.kind != "metered":
        return seen, known
    return _reserved(seen, known, ask, held if is_leased else None)


def settled(held: Held, reservation_id: str, now_ms: int) -> tuple[bool, Held]:
    """Settle: the units are used, and count on until they are billed usage. False where it is not open any more.

    Units without a lease are let go at once: nobody will tell when they are billed.
    """
    found = _open(held, reservation_id, now_ms)
    if found is None:
        return False, held
    left = tuple(one for one in held.open if one is not found)
    return True, replace(held, open=left, loose=held.loose - (0 if found.lease else found.units))


def released(held: Held, reservation_id: str, now_ms: int) -> tuple[bool, Held]:
    """Release: the units were not used. False where it is not open any more."""
    found = _open(held, reservation_id, now_ms)
    return (False, held) if found is None else (True, _given_back(held, [found]))


def told(held: Held, lease: LeaseRecord, window_start_ms: int | None, *, has_usage: bool = True) -> Held:
    """What the centre says of the site's lease; late and repeated words change nothing.

    has_usage: a record says beside it what the settled units have become. An answer does not: until the record has come, they
    count as taken, or they would count as nothing.
    """
    if lease.lease < held.lease:
        return held
    if lease.lease == held.lease:
        return replace(
            held,
            granted=max(held.granted, lease.granted),
            settled=max(held.settled, lease.settled) if has_usage else held.settled,
            has_more=held.has_more if lease.has_more is None else lease.has_more,
        )
    return replace(
        held,
        lease=lease.lease,
        window_start_ms=window_start_ms,
        granted=lease.granted,
        returned=0,
        settled=lease.settled,
        taken=lease.settled,
        has_more=lease.has_more is not False,
    )


def _open(held: Held, reservation_id: str, now_ms: int) -> Reservation | None:
    found = next((one for one in held.open if one.id == reservation_id), None)
    return found if found is not None and found.expires_at_ms > now_ms else None


def at_instant(feature: FeatureRecord, now_ms: int) -> FeatureRecord:
    """The record as it counts at an instant: once its window is over, the page is turned and nothing is used.

    The store says where the next window ends; should it stay silent for longer, windows go on by that one's length.
    """
    end = feature.window_end_ms
    if end is None or now_ms < end:
        return feature
    start = feature.window_start_ms
    next_end = feature.next_window_end_ms
    if next_end is None:
        next_end = end + (end - start if start is not None and start < end else 1)
    length = next_end - end
    turns = 0 if now_ms < next_end else (now_ms - next_end) // length + 1
    return msgspec.structs.replace(
        feature,
        used=0,
        limit=feature.limit if feature.next_window_end_ms is None else feature.next_limit,
        window_start_ms=end + turns * length,
        window_end_ms=next_end + turns * length,
    )


def _expired(held: Held, now_ms: int) -> Held:
    return _given_back(held, [one for one in held.open if one.expires_at_ms <= now_ms])


def _given_back(held: Held, gone: Sequence[Reservation]) -> Held:
    if not gone:
        return held
    # What was taken from an earlier lease does not come back into this one.
    leased = sum(one.units for one in gone if one.lease and one.lease == held.lease)
    loose = sum(one.units for one in gone if not one.lease)
    left = tuple(one for one in held.open if one not in gone)
    return replace(held, open=left, taken=held.taken - leased, loose=held.loose - loose)


def _reserved(seen: Decision, known: Known, ask: Ask, lease: Held | None) -> tuple[Decision, Known]:
    """lease: to take from; None where none bounds the feature."""
    held = known.held
    made = Reservation(f"{lease.lease if lease else 0}.{ask.quantity}.{ask.nonce}", ask.now_ms + ask.ttl_ms)
    used = seen.used + ask.quantity
    remaining = None if seen.limit is None else max(0, seen.limit - used)
    decision = replace(seen, used=used, remaining=remaining, reservation=made)
    held = replace(held, open=(*held.open, made))
    if lease is None:
        return decision, replace(known, held=replace(held, loose=held.loose + ask.quantity))
    held = replace(held, taken=held.taken + ask.quantity)
    is_low = held.has_more and 2 * held.free < held.granted - held.returned - held.settled
    return replace(decision, is_low=is_low), replace(known, held=held)


def _unknown(site: Site, reason: Reason) -> Decision:
    """Nothing is known of what was asked: a complete site knows that there is nothing, another one follows the policy."""
    if site.is_complete and site.age_ms <= site.max_stale_ms:
        return Decision(False, reason, site.is_stale)
    return Decision(site.on_unknown == "allow", reason, True)


def _refused(seen: Decision, reason: Reason, retry_after_s: int | None = None) -> Decision:
    return replace(seen, is_allowed=False, reason=reason, retry_after_s=retry_after_s)


def _seconds_until(at_ms: int | None, now_ms: int) -> int | None:
    """Whole seconds, rounded up; None where nothing resets."""
    return None if at_ms is None else max(1, -(-(at_ms - now_ms) // 1000))
