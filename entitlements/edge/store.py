"""One site's Redis: records in, decisions out.

No rules of its own: what is decided stands in `decide.lua`, what a record is in `records.py`, where it lies in `layout.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from redis import ConnectionError as ConnectionLost
from redis import Redis
from redis import TimeoutError as AnswerLate
from redis.backoff import NoBackoff
from redis.commands.core import Script
from redis.retry import Retry

from aforo.kernel.breaker import Breaker
from aforo.kernel.identifiers import random_text

from ..decision import Ask, Decision, Reason, Reservation, Site
from ..records import EdgeRecord, FeatureRecord, KeyRecord, LeaseRecord, TenantRecord
from . import layout
from .line import Line

# The way of the keys and fields; a site of another one is filled anew.
SCHEMA = "1"
# What clients keep of a site's and a tenant's state without asking again.
TRUST_S = 1.0
TIMEOUT_S = 0.25
TENANTS_KEPT_MAX = 10_000
NONCE_LENGTH = 16
# Said of what a complete site does not have.
_OF_COMPLETENESS = frozenset({Reason.UNKNOWN_CUSTOMER, Reason.UNKNOWN_FEATURE, Reason.NOT_ENTITLED})

_SYNCED = """
if redis.call('HGET', KEYS[1], 'epoch') ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
return 1
"""
_META_FIELDS = ("schema", "epoch", "complete", "synced_at", "cursor")
_FOLDER = Path(__file__).parent

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision, and what the records say beside it. downgrades: what to serve instead, by name."""

    decision: Decision
    plan: str = ""
    margin_level: int = 0
    margin_action: str = "none"
    downgrades: Mapping[str, str] | None = None
    kind: str = ""
    limit_type: str = ""
    value: str | None = None
    places: int = 0
    as_of_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Meta:
    """What a site says of itself.

    epoch: names the life of its memory; "" before the first sync. synced_at_ms: when the store was last heard; None
    for never. cursor: the highest version that was taken over in order.
    """

    epoch: str = ""
    is_complete: bool = False
    synced_at_ms: int | None = None
    cursor: int = 0


@dataclass(frozen=True, slots=True)
class LeaseState:
    """What the site counts of a lease: what it has taken, returned, and knows as granted and settled."""

    lease: int
    window_start_ms: int | None
    granted: int
    returned: int
    settled: int
    taken: int


@dataclass(frozen=True, slots=True)
class Counted:
    """What the site counts of a feature: billed usage as it was told, and units beside it that are not billed yet."""

    version: int
    window_start_ms: int | None
    used: int
    held: int


class EdgeStore:
    """The Redis of a site; safe between threads. url: as redis://host:port/0.

    Every method raises redis.RedisError where the server does not answer; what a caller waits for raises it at once where three
    such calls in a row were in vain, and asks again after a second.
    """

    def __init__(self, url: str, *, edge: str = "central", timeout_s: float = TIMEOUT_S) -> None:
        self.edge = edge
        # Whether a command is repeated is decided here: given back twice, a unit could be used twice.
        self.redis: Redis = Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
        self.line = Line(self.redis)
        self._breaker = Breaker()
        self._decide = self._script("decide")
        self._reservation = self._script("reservation")
        self._apply = self._script("apply")
        self._return = self._script("return")
        self._synced = self.redis.register_script(_SYNCED)
        self._sites: dict[str, tuple[float, _SiteKnown]] = {}

    def _script(self, name: str) -> Script:
        return self.redis.register_script((_FOLDER / f"{name}.lua").read_text())

    # Decisions

    def decide(self, tenant: str, customer: str, feature: str, ask: Ask) -> Answer:
        """One decision: one script, one slot."""
        answer = self._decided(tenant, customer, feature, ask)
        if answer.decision.reason in _OF_COMPLETENESS and self._site_has_changed(tenant):
            answer = self._decided(tenant, customer, feature, ask)
        if answer.decision.is_low:
            self.redis.sadd(layout.WANTS, layout.want(tenant, customer, feature))
        return answer

    def _decided(self, tenant: str, customer: str, feature: str, ask: Ask) -> Answer:
        keys, args = self._call(tenant, customer, feature, ask)
        return answer_of(self._asked(lambda: self.line.run(self._decide, keys, args)))

    def decide_each(self, tenant: str, asks: Sequence[tuple[str, str, Ask]]) -> list[Answer]:
        """Many decisions in one round trip, in order; each by itself. asks: customer, feature and ask."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for customer, feature, ask in asks:
                self._decide(*self._call(tenant, customer, feature, ask), client=pipeline)
            answers = [answer_of(one) for one in self._asked(pipeline.execute)]
        low = [
            layout.want(tenant, customer, feature)
            for (customer, feature, _), one in zip(asks, answers, strict=True)
            if one.decision.is_low
        ]
        if low:
            self.redis.sadd(layout.WANTS, *low)
        return answers

    def places(self, tenant: str, feature: str) -> int:
        """The decimal places of a feature's units."""
        return self._known(tenant).tenant.places.get(feature, 0)

    def _site_has_changed(self, tenant: str) -> bool:
        """Whether the site says another thing of itself than was trusted; it may have been emptied within the second."""
        trusted = self._known(tenant)
        read = self._site_keep(tenant, trusted)
        return (read.is_complete, read.document) != (trusted.is_complete, trusted.document)

    def _asked(self, call: Callable[[], T]) -> T:
        if not self._breaker.lets_through():
            raise ConnectionLost("The site's Redis did not answer before, and is asked again in a second.")
        try:
            answer = call()
        except (ConnectionLost, AnswerLate):
            self._breaker.failed()
            raise
        self._breaker.succeeded()
        return answer

    def _call(self, tenant: str, customer: str, feature: str, ask: Ask) -> tuple[list[str], list[str | int]]:
        """Keys and arguments of `decide.lua`."""
        site = self.site(tenant, feature, ask.now_ms)
        keys = [
            layout.customer_key(tenant, customer),
            layout.feature_key(tenant, customer, feature),
            layout.reservations_key(tenant, customer, feature),
        ]
        return keys, [
            ask.now_ms,
            ask.quantity,
            int(ask.is_reserving),
            ask.ttl_ms,
            ask.nonce or (random_text(NONCE_LENGTH) if ask.is_reserving else ""),
            int(site.is_complete),
            site.age_ms,
            int(site.on_unknown == "allow"),
            site.max_stale_ms,
            int(site.is_feature_known),
        ]

    def site(self, tenant: str, feature: str, now_ms: int) -> Site:
        """The site's state as clients know it: read once a second, and not for each decision."""
        known = self._known(tenant)
        age_ms = 0 if known.synced_at_ms is None else max(0, now_ms - known.synced_at_ms)
        return Site(
            is_complete=known.is_complete,
            age_ms=age_ms,
            on_unknown=known.tenant.on_unknown,
            max_stale_ms=known.tenant.max_stale_s * 1000,
            is_feature_known=feature in known.tenant.features or not known.is_complete,
        )

    def _known(self, tenant: str) -> _SiteKnown:
        known_at_s, known = self._sites.get(tenant, (0.0, None))
        if known is None or time.monotonic() - known_at_s > TRUST_S:
            known = self._site_keep(tenant, known)
        return known

    def _site_keep(self, tenant: str, before: _SiteKnown | None) -> _SiteKnown:
        """Read what the site says of itself and of the tenant, and trust it from now on."""
        with self.redis.pipeline(transaction=False) as pipeline:
            pipeline.hmget(layout.META, *_META_FIELDS)
            pipeline.hget(layout.tenant_key(tenant), "document")
            found, document = self._asked(pipeline.execute)
        meta = _meta(found)
        if before is not None and before.document == document:
            record = before.tenant
        elif document is None:
            record = TenantRecord(tenant=tenant, version=0)
        else:
            record = msgspec.json.decode(document, type=TenantRecord)
        if len(self._sites) >= TENANTS_KEPT_MAX:
            self._sites.clear()
        known = _SiteKnown(document, record, meta.is_complete, meta.synced_at_ms)
        self._sites[tenant] = (time.monotonic(), known)
        return known

    def decision_without_site(self, tenant: str) -> Answer:
        """What is answered where the site's Redis cannot be asked: the policy that was last known, or allow."""
        _, known = self._sites.get(tenant, (0.0, None))
        on_unknown = known.tenant.on_unknown if known else "allow"
        return Answer(Decision(on_unknown == "allow", Reason.UNKNOWN_CUSTOMER, is_stale=True))

    def settle(self, tenant: str, customer: str, feature: str, reservation_id: str, now_ms: int) -> bool:
        """Settle a reservation: its units are used. False where it is not open any more."""
        return self._end(1, tenant, customer, feature, reservation_id, now_ms)

    def release(self, tenant: str, customer: str, feature: str, reservation_id: str, now_ms: int) -> bool:
        """Release a reservation: its units were not used. False where it is not open any more."""
        return self._end(0, tenant, customer, feature, reservation_id, now_ms)

    def unsettle(self, tenant: str, customer: str, feature: str, reservation_id: str, now_ms: int) -> None:
        """Give back what was settled a moment ago, because its event was refused. Call it once."""
        self._end(2, tenant, customer, feature, reservation_id, now_ms)

    def _end(self, settles: int, tenant: str, customer: str, feature: str, id: str, now_ms: int) -> bool:
        keys = [
            layout.feature_key(tenant, customer, feature),
            layout.reservations_key(tenant, customer, feature),
        ]
        return bool(self._asked(lambda: self._reservation(keys=keys, args=[settles, id, now_ms])))

    # Records

    def apply(self, records: Iterable[EdgeRecord]) -> int:
        """Take records over; returns how many were newer than what the site had."""
        records = list(records)
        epoch = self.meta().epoch
        with self.redis.pipeline(transaction=False) as pipeline:
            for record in records:
                fields = layout.record_fields(record)
                lease = _lease_of(record, self.edge, epoch)
                self._apply(
                    keys=[layout.record_key(record), layout.META],
                    args=[
                        record.version,
                        len(fields),
                        *(cell for pair in fields.items() for cell in pair),
                        *lease,
                    ],
                    client=pipeline,
                )
            applied = sum(pipeline.execute())
        self.wants_add(
            (record.tenant, record.customer, record.feature)
            for record in records
            if isinstance(record, FeatureRecord) and _is_recalled(record, self.edge, epoch)
        )
        return applied

    def lease_apply(
        self, tenant: str, customer: str, feature: str, window_start_ms: int | None, lease: LeaseRecord
    ) -> None:
        """Take a lease's totals over, as the centre answered them; one of another life of the memory says nothing."""
        # Of version 0, so that the record itself is left as it is.
        self._apply(
            keys=[layout.feature_key(tenant, customer, feature), layout.META],
            args=[0, 0, *_lease_cells(lease, window_start_ms)],
        )

    def versions(self, keys: Sequence[str]) -> list[int | None]:
        """The versions that the site has under these keys; None where it has nothing."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.hget(key, "ver")
            return [None if one is None else int(one) for one in pipeline.execute()]

    def counted(self, tenant: str, names: Sequence[tuple[str, str]]) -> list[Counted | None]:
        """What the site counts of each customer's feature; None where it has no record of it."""
        with self.redis.pipeline(transaction=False) as pipeline:
            for customer, feature in names:
                pipeline.hmget(
                    layout.feature_key(tenant, customer, feature),
                    "ver",
                    "ws",
                    "u",
                    "rm",
                    "lw",
                    "lt",
                    "ls",
                    "lo",
                )
            found = [[_number(cell) for cell in one] for one in pipeline.execute()]
        counted = []
        for version, start, used, is_removed, of_start, taken, settled, loose in found:
            is_present = version is not None and not is_removed
            # A lease of another window counts for nothing in this one.
            leased = (taken or 0) - (settled or 0) if of_start == start else 0
            counted.append(Counted(version, start, used or 0, leased + (loose or 0)) if is_present else None)
        return counted

    def api_key(self, public_id: str) -> KeyRecord | None:
        document = self._asked(lambda: self.redis.hget(layout.api_key_key(public_id), "document"))
        return None if document is None else msgspec.json.decode(document, type=KeyRecord)

    # The site itself

    def meta(self) -> Meta:
        return _meta(self.redis.hmget(layout.META, *_META_FIELDS))

    def epoch_ensure(self) -> str:
        """The name of this life of the site's memory, given now where it is a new one."""
        if known := self.meta().epoch:
            return known
        if self.redis.hget(layout.META, "schema") not in (None, SCHEMA.encode()):
            self.redis.delete(layout.META)
        self.redis.hsetnx(layout.META, "epoch", random_text(NONCE_LENGTH))
        self.redis.hset(layout.META, "schema", SCHEMA)
        return self.meta().epoch

    def synced(
        self, *, epoch: str, at_ms: int, cursor: int | None = None, is_complete: bool | None = None
    ) -> bool:
        """The store was heard, in this life of the memory. cursor, is_complete: left as they are where None.

        False, and nothing said, where the memory was emptied since the epoch was read.
        """
        fields: dict[str, str | int] = {"synced_at": at_ms}
        if cursor is not None:
            fields["cursor"] = cursor
        if is_complete is not None:
            fields["complete"] = int(is_complete)
        cells = [cell for pair in fields.items() for cell in pair]
        return bool(self._synced(keys=[layout.META], args=[epoch, *cells]))

    # Leases

    def wants_take(self, count: int) -> list[tuple[str, str, str]]:
        """Tenant, customer and feature of up to *count* leases that want units; each is told once."""
        found = self.redis.spop(layout.WANTS, count)
        return [layout.wanted(one.decode()) for one in found or ()]

    def wants_add(self, wants: Iterable[tuple[str, str, str]]) -> None:
        texts = [layout.want(*one) for one in wants]
        if texts:
            self.redis.sadd(layout.WANTS, *texts)

    def lease_return(self, tenant: str, customer: str, feature: str) -> int:
        """Give back what a lease does not need, where it is recalled; returns what it has given back in all."""
        return int(self._return(keys=[layout.feature_key(tenant, customer, feature)]))

    def lease_state(self, tenant: str, customer: str, feature: str) -> LeaseState:
        """What the site counts of the feature's lease; all zero where it has none."""
        key = layout.feature_key(tenant, customer, feature)
        found = self.redis.hmget(key, "ln", "lw", "lg", "lr", "ls", "lt")
        lease, window, granted, returned, settled, taken = [_number(one) for one in found]
        return LeaseState(lease or 0, window, granted or 0, returned or 0, settled or 0, taken or 0)


@dataclass(frozen=True, slots=True)
class _SiteKnown:
    document: bytes | None
    tenant: TenantRecord
    is_complete: bool
    synced_at_ms: int | None


def _meta(found: Sequence[bytes | None]) -> Meta:
    schema, epoch, complete, synced_at, cursor = [None if one is None else one.decode() for one in found]
    if schema != SCHEMA:
        return Meta()
    return Meta(
        epoch=epoch or "",
        is_complete=complete == "1",
        synced_at_ms=int(synced_at) if synced_at else None,
        cursor=int(cursor or 0),
    )


def _lease_of(record: EdgeRecord, edge: str, epoch: str) -> list[str | int]:
    if not isinstance(record, FeatureRecord) or not epoch:
        return []
    for lease in record.leases:
        if (lease.edge, lease.epoch) == (edge, epoch):
            return _lease_cells(lease, record.window_start_ms)
    return []


def _is_recalled(record: FeatureRecord, edge: str, epoch: str) -> bool:
    return any(lease.is_recalled and (lease.edge, lease.epoch) == (edge, epoch) for lease in record.leases)


def _lease_cells(lease: LeaseRecord, window_start_ms: int | None) -> list[str | int]:
    return [
        lease.lease,
        layout.cell(window_start_ms),
        lease.granted,
        lease.settled,
        "" if lease.has_more is None else int(lease.has_more),
        int(lease.is_recalled),
        lease.epoch,
    ]


def _number(cell: bytes | None) -> int | None:
    return int(cell) if cell else None


def answer_of(cells: Sequence[Any]) -> Answer:
    """What `decide.lua` returns, as values."""
    allowed, reason, stale, limit, used, remaining, window_end, retry, low, reservation, expires = cells[:11]
    _, plan, level, action, downgrades, _, as_of, kind, limit_type, value, places, feature_plan = cells[11:]
    decision = Decision(
        is_allowed=bool(allowed),
        reason=Reason(reason.decode()),
        is_stale=bool(stale),
        limit=_number(limit),
        used=_number(used) or 0,
        remaining=_number(remaining),
        window_end_ms=_number(window_end),
        retry_after_s=_number(retry),
        is_low=bool(low),
        reservation=Reservation(reservation.decode(), int(expires)) if reservation else None,
    )
    return Answer(
        decision,
        plan=(feature_plan or plan).decode(),
        margin_level=_number(level) or 0,
        margin_action=action.decode() or "none",
        downgrades=msgspec.json.decode(downgrades) if downgrades else None,
        kind=kind.decode(),
        limit_type=limit_type.decode(),
        value=value.decode() or None,
        places=_number(places) or 0,
        as_of_ms=_number(as_of),
    )
