"""One vector: what a site's Redis has, what a client asks, what it is answered, and what is left behind.

Made by the pure decision, never by the script that it is there to test.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from entitlements.decision import Ask, Decision, Held, Known, Reason, Reservation, Site, decide
from entitlements.edge import layout
from entitlements.edge.gate import (
    Check,
    document_of,
    enforced,
    gone,
    reply_headers,
    reservation_id,
)
from entitlements.edge.store import SCHEMA, answer_of
from entitlements.records import EdgeRecord, FeatureRecord, TenantRecord

from .steps import CUSTOMER, EPOCH, FEATURE, TENANT, Ended, Played

Fields = dict[str, str]
# Decided before the feature's record was read.
BEFORE_THE_FEATURE = frozenset(
    {Reason.UNKNOWN_CUSTOMER, Reason.UNKNOWN_FEATURE, Reason.SUBSCRIPTION_INACTIVE}
)


@dataclass(frozen=True)
class Names:
    """Whose decision it is."""

    tenant: str = TENANT
    customer: str = CUSTOMER
    feature: str = FEATURE

    def keys(self) -> list[str]:
        """KEYS of the script."""
        names = (self.tenant, self.customer, self.feature)
        customer = layout.customer_key(self.tenant, self.customer)
        return [customer, layout.feature_key(*names), layout.reservations_key(*names)]


@dataclass(frozen=True)
class Place:
    """A site as its clients find it. meta: the fields of its hash, none where it was emptied. tenant: None where it has none."""

    meta: Fields
    tenant: TenantRecord | None

    def site(self, feature: str, now_ms: int) -> Site:
        """What clients make of it, and tell the script."""
        is_ours = self.meta.get("schema") == SCHEMA
        is_complete = is_ours and self.meta["complete"] == "1"
        tenant = self.tenant or TenantRecord(tenant=TENANT, version=0)
        return Site(
            is_complete=is_complete,
            age_ms=max(0, now_ms - int(self.meta["synced_at"])) if is_ours else 0,
            on_unknown=tenant.on_unknown,
            max_stale_ms=tenant.max_stale_s * 1000,
            is_feature_known=feature in tenant.features or not is_complete,
        )

    def places(self, feature: str) -> int:
        return self.tenant.places.get(feature, 0) if self.tenant else 0


def place_of(site: Site, feature: FeatureRecord | None, now_ms: int) -> Place:
    """The place of which clients make this site."""
    meta = {
        "schema": SCHEMA,
        "epoch": EPOCH,
        "complete": str(int(site.is_complete)),
        "synced_at": str(now_ms - site.age_ms),
        "cursor": "9",
    }
    tenant = TenantRecord(
        tenant=TENANT,
        version=1,
        on_unknown=site.on_unknown,
        max_stale_s=site.max_stale_ms // 1000,
        features={FEATURE: feature.kind if feature else "metered"} if site.is_feature_known else {},
        places={FEATURE: feature.places} if feature and feature.places else {},
    )
    return Place(meta, tenant)


@dataclass(frozen=True)
class Vector:
    """document: as the file has it, but for what vectors share. tenant: the fields of its record, None where there is none."""

    name: str
    document: dict[str, Any]
    names: Names = Names()
    tenant: Fields | None = None


def decision_vector(name: str, known: Known, ask: Ask, place: Place, names: Names = Names()) -> Vector:
    """One call of canAccess."""
    site, places = place.site(names.feature, ask.now_ms), place.places(names.feature)
    decision, after = decide(known, ask, site)
    quantity = Decimal(ask.quantity).scaleb(-places)
    check = Check(names.customer, names.feature, quantity, ask.is_reserving, ask.ttl_ms // 1000)
    answer = cells(decision, known)
    document = {
        "meta": place.meta,
        **stored(known),
        "now_ms": ask.now_ms,
        "ask": {
            "tenantId": check.customer,
            "featureKey": check.feature,
            "quantity": format(quantity, "f") if places else ask.quantity,
            "reserve": check.is_reserving,
            "ttl_s": check.ttl_s,
        },
        "argv": argv(ask, site),
        "answer": answer,
        "left": left(known, after),
        "want": layout.want(names.tenant, names.customer, names.feature) if decision.is_low else None,
        **replies(check, answer, ask.now_ms),
    }
    return Vector(name, document, names, fields_of(place.tenant) if place.tenant else None)


def argv(ask: Ask, site: Site) -> list[str]:
    arguments = (
        ask.now_ms,
        ask.quantity,
        int(ask.is_reserving),
        ask.ttl_ms,
        ask.nonce if ask.is_reserving else "",
        int(site.is_complete),
        site.age_ms,
        int(site.on_unknown == "allow"),
        site.max_stale_ms,
        int(site.is_feature_known),
    )
    return [str(argument) for argument in arguments]


def cells(decision: Decision, known: Known) -> list[int | str]:
    """The flat answer. A number that is not there is the empty text; of a record that was not read every cell is."""
    customer = fields_of(known.customer) if known.customer else {}
    has_read = decision.reason not in BEFORE_THE_FEATURE
    feature = fields_of(known.feature) if known.feature and has_read else {}
    made = decision.reservation
    return [
        int(decision.is_allowed),
        decision.reason.value,
        int(decision.is_stale),
        *(_text(one) for one in (decision.limit, decision.used, decision.remaining)),
        *(_text(one) for one in (decision.window_end_ms, decision.retry_after_s)),
        int(decision.is_low),
        made.id if made else "",
        _text(made.expires_at_ms if made else None),
        *(customer.get(name, "") for name in ("ver", "pl", "ml", "ma", "md")),
        *(feature.get(name, "") for name in ("ver", "at", "k", "ty", "val", "sc", "pl")),
    ]


def replies(check: Check, flat: Sequence[int | str], now_ms: int) -> dict[str, Any]:
    """What `POST /v1/canAccess` answers; and where it refuses, status, code and sentence of a gateway's problem."""
    answer = answer_of([cell.encode() if isinstance(cell, str) else cell for cell in flat])
    found: dict[str, Any] = {
        "headers": reply_headers(answer, now_ms),
        "body": document_of(check, answer, now_ms),
    }
    if not answer.decision.is_allowed:
        problem = enforced(check, answer, now_ms)
        found["refusal"] = {"status": problem.status, "code": problem.code, "detail": problem.detail}
    return found


def end_vector(name: str, one: Played, step: Ended) -> Vector:
    """A reservation that is settled or released. one: as that step was played."""
    reservation = Reservation(one.reservation, 0)
    shown = reservation_id(CUSTOMER, FEATURE, reservation)
    body = {"id": shown, "status": "settled" if step.is_settled else "released"}
    if step.is_settled:
        body["event_reservation_id"] = reservation.id
    document = {
        **stored(one.before),
        "now_ms": step.now_ms,
        "end": "settle" if step.is_settled else "release",
        "reservation": shown,
        "argv": [str(int(step.is_settled)), reservation.id, str(step.now_ms)],
        "answer": int(one.answer is True),
        "left": left(one.before, one.after),
        "status": 200 if one.answer else 404,
        "body": body if one.answer else gone(shown).document(),
    }
    return Vector(name, document)


# What is in Redis


def stored(known: Known) -> dict[str, Any]:
    """The three keys of a decision: two hashes and a sorted set, None where there is none."""
    customer = fields_of(known.customer) if known.customer else {}
    if known.throttled:
        customer["tc"] = str(known.throttled)
    feature = fields_of(known.feature) if known.feature else {}
    feature |= _held_fields(known.held)
    reservations = {one.id: one.expires_at_ms for one in known.held.open}
    return {"customer": customer or None, "feature": feature or None, "reservations": reservations or None}


def left(before: Known, after: Known) -> dict[str, Any]:
    """What a call has changed: fields of the hashes, and the whole sorted set; empty, it is gone."""
    had, has = stored(before), stored(after)
    changed: dict[str, Any] = {}
    for name in ("customer", "feature"):
        old, new = had[name] or {}, has[name] or {}
        # A count that has come down to nothing stays as a zero.
        fields = {field: new.get(field, "0") for field in old | new if old.get(field) != new.get(field)}
        if fields:
            changed[name] = fields
    if has["reservations"] != had["reservations"]:
        changed["reservations"] = has["reservations"] or {}
    return changed


def fields_of(record: EdgeRecord) -> Fields:
    return {
        name: str(value) for name, value in {"ver": record.version, **layout.record_fields(record)}.items()
    }


def _held_fields(held: Held) -> Fields:
    fields: dict[str, int | str] = {"lo": held.loose} if held.loose else {}
    if held.lease:
        fields |= {
            "ln": held.lease,
            "lw": layout.cell(held.window_start_ms),
            "lg": held.granted,
            "lr": held.returned,
            "ls": held.settled,
            "lt": held.taken,
            "lm": int(held.has_more),
            "lc": 0,
        }
    return {name: str(value) for name, value in fields.items()}


def _text(number: int | None) -> str:
    return "" if number is None else str(number)
