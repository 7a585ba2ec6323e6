"""Which vectors there are: some written by hand, and enough of the generated cases that nothing a decision looks at is left out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from entitlements.decision import Ask, Reason, Reservation, Site, at_instant
from entitlements.edge.gate import UNITS_MAX
from entitlements.records import FeatureRecord

from .by_hand import by_hand
from .steps import FEATURE, Asked, Ended, Played, cases, played
from .vector import BEFORE_THE_FEATURE, Vector, decision_vector, end_vector, place_of

CASES = 3_000
SEED = 20260301

# What a call looked at, by name.
Traits = dict[str, Any]
# Traits that matter together: each of their combinations that occurs is kept.
TOGETHER = (
    ("limit", "asked", "window"),
    ("limit", "asked", "lease", "fits the lease", "more left", "low"),
    ("reason", "end", "lease"),
)
# Those that a vector's name says.
NAMED = ("customer", "feature", "limit", "asked", "window", "lease", "margin", "end")


def vectors() -> Iterator[Vector]:
    """Those written by hand, and of the generated ones each in which something is new."""
    yield from by_hand()
    seen: set[object] = set()
    for steps in cases(CASES, SEED):
        for one in played(steps):
            traits = traits_of(one)
            new = novelties(traits) - seen if traits else set()
            vector = vector_of(one, name_of(traits)) if new else None
            if vector:
                seen |= new
                yield vector


def vector_of(one: Played, name: str) -> Vector | None:
    """None where HTTP cannot ask so."""
    match one.step:
        case Asked(ask, site) if ask.quantity <= UNITS_MAX and ask.ttl_ms % 1000 == 0:
            place = place_of(site, one.before.feature, ask.now_ms)
            # A site that is not complete does not say of a feature that it is unknown.
            if place.site(FEATURE, ask.now_ms) == site:
                return decision_vector(name, one.before, ask, place)
        case Ended() as step:
            return end_vector(name, one, step)
    return None


def novelties(traits: Traits) -> set[object]:
    """What a vector may be kept for: each trait of each reason, and combinations of some."""
    alone = {(traits["reason"], trait) for trait in traits.items()}
    return alone | {tuple(traits.get(name) for name in names) for names in TOGETHER}


def name_of(traits: Traits) -> str:
    said = ", ".join(f"{name} {traits[name]}" for name in NAMED if name in traits)
    return f"{traits['reason']}: {said}"


def traits_of(one: Played) -> Traits:
    """What a call looked at; what it never came to is left out. Empty for a step that is no call."""
    match one.step:
        case Asked(ask, site):
            return _decision_traits(one, ask, site)
        case Ended(_, is_settled) if one.reservation:
            reservation = Reservation(one.reservation, 0)
            is_there = any(open_.id == reservation.id for open_ in one.before.held.open)
            lease = "its own" if reservation.lease == one.before.held.lease else "an earlier one"
            return {
                "reason": "settle" if is_settled else "release",
                "end": "open" if one.answer else "expired" if is_there else "gone",
                "lease": lease if reservation.lease else "none",
            }
    return {}


def _decision_traits(one: Played, ask: Ask, site: Site) -> Traits:
    customer, feature, held, decision = one.before.customer, one.before.feature, one.before.held, one.answer
    traits = {
        "reason": decision.reason.value,
        "allowed": decision.is_allowed,
        "stale": decision.is_stale,
        "complete": site.is_complete,
        "unknown": site.on_unknown,
        "too old": site.age_ms > site.max_stale_ms,
        "customer": "missing" if customer is None else "removed" if customer.is_removed else "there",
    }
    if customer is None or decision.reason in BEFORE_THE_FEATURE:
        return traits
    traits["feature"] = "missing" if feature is None else "removed" if feature.is_removed else feature.kind
    if feature is None or decision.reason is Reason.NOT_ENTITLED:
        return traits
    present = at_instant(feature, ask.now_ms)
    lease = held.of_window(present.window_start_ms)
    traits |= {
        "limit": "none" if feature.limit is None else feature.limit_type,
        "places": feature.places,
        "window": _window_of(feature, ask.now_ms),
        "lease": "none" if not held.lease else "there" if lease.lease else "of another window",
        "expired": len(held.open) > len(one.after.held.open),
        "margin": customer.margin_action,
    }
    if decision.reason in (Reason.WALLET_EMPTY, Reason.MARGIN_BLOCK):
        return traits
    made = decision.reservation
    return traits | {
        "asked": "look" if not ask.quantity else "reserve" if ask.is_reserving else "read",
        "fits the lease": ask.quantity <= lease.free,
        "more left": held.has_more,
        "low": decision.is_low,
        "percent": customer.throttle_percent if customer.margin_action == "throttle" else None,
        "reservation": None if made is None else "leased" if made.lease else "loose",
    }


def _window_of(feature: FeatureRecord, now_ms: int) -> str:
    end, following = feature.window_end_ms, feature.next_window_end_ms
    if end is None:
        return "without end"
    if now_ms < end:
        return "present"
    if following is None:
        return "over, by its length"
    return "over" if now_ms < following else "long over"
