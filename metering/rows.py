"""A batch as rows: all of its new events and their buckets as COPY takes them, made ready before the transaction.

What it takes from the store (customers, contexts) is there for ever, so that a batch can be made ready while the one
before is written, and be written again after a crash.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import date, datetime

import msgspec

from .buckets import bucket_lines
from .contexts import ContextKey, context_ids
from .event import RESERVATION, Accepted
from .ports import CountedUsage, customer_directory
from .reading import Item
from .staging import escaped

_json = msgspec.json.Encoder(decimal_format="number")


class Rows:
    """The items of a batch by what becomes of them; an item is known by its place among them.

    firsts: of accepted events, the first of the batch under its key; perhaps not the first ever. repeats: the others,
    each with the place of its first. refused: what intake refused.
    event_lines, bucket_lines: of the firsts, for metering_staging and for buckets.
    """

    def __init__(self, items: Sequence[Item], leave_out: Collection[tuple[int, int]] = ()) -> None:
        """leave_out: the items of these (tenant, intake id) were read before, as is_repeated says of others."""
        self.items = items
        self.repeats: list[tuple[int, int]] = []
        self.refused: list[int] = []
        firsts: dict[tuple[int, bytes], int] = {}
        for place, item in enumerate(items):
            if item.read.is_repeated or (leave_out and (item.tenant_id, item.intake_id) in leave_out):
                continue
            verdict = item.verdict
            if type(verdict) is Accepted:
                event = verdict.event
                first = firsts.setdefault((event.tenant_id, event.identity), place)
                if first != place:
                    self.repeats.append((place, first))
            else:
                self.refused.append(place)
        self.firsts = list(firsts.values())
        self._customer_ids = self._customers()
        self.event_lines = self._event_lines()
        self.bucket_lines = self.bucket_lines_without(())

    def months(self) -> Iterable[datetime]:
        """One instant of each month that the events lie in."""
        times = (self.items[place].verdict.event.timestamp for place in self.firsts)
        return {(time.year, time.month): time for time in times}.values()

    def late(self, places: Iterable[int]) -> Counter[tuple[int, date]]:
        """How many of these events are late, by tenant and day of receipt."""
        items = map(self.items.__getitem__, places)
        return Counter((item.tenant_id, item.read.day) for item in items if item.verdict.is_late)

    def usage_without(self, old: Collection[int]) -> Iterator[CountedUsage]:
        """The usage that the firsts bring, without these places: each customer and metric once, and each reservation."""
        counted = [
            (self.items[place], customer_id)
            for place, customer_id in zip(self.firsts, self._customer_ids, strict=True)
            if place not in old
        ]
        for one in {
            (item.tenant_id, customer_id, item.verdict.event.metric) for item, customer_id in counted
        }:
            yield CountedUsage(*one)
        for item, customer_id in counted:
            event = item.verdict.event
            reservation_id = item.read.submission.reservation or event.properties.get(RESERVATION)
            # What a client writes there may be anything.
            if isinstance(reservation_id, str):
                yield CountedUsage(event.tenant_id, customer_id, event.metric, reservation_id)

    def bucket_lines_without(self, old: Collection[int]) -> list[str]:
        """The lines of buckets where these places bring nothing, because they are stored already."""
        return bucket_lines(
            (event, customer_id, item.read.directory.meters_for(event.metric))
            for place, customer_id in zip(self.firsts, self._customer_ids, strict=True)
            if place not in old
            for item in (self.items[place],)
            for event in (item.verdict.event,)
        )

    def _customers(self) -> list[int]:
        items = map(self.items.__getitem__, self.firsts)
        return [item.read.directory.customer(item.verdict.event.customer_id).id for item in items]

    def _contexts(self) -> list[int]:
        """The context row of each first, made where there is none yet."""
        customers: dict[int, set[int]] = defaultdict(set)
        for place, customer_id in zip(self.firsts, self._customer_ids, strict=True):
            customers[self.items[place].tenant_id].add(customer_id)
        directory = customer_directory()
        bought = {
            tenant_id: directory.bought_by(tenant_id=tenant_id, customer_ids=customer_ids)
            for tenant_id, customer_ids in customers.items()
        }
        keys = []
        for place, customer_id in zip(self.firsts, self._customer_ids, strict=True):
            event = self.items[place].verdict.event
            context = bought[event.tenant_id].context_at(customer_id, event.metric, event.timestamp)
            keys.append(ContextKey(event.tenant_id, customer_id, event.metric, event.source, context))
        return context_ids(keys)

    def _event_lines(self) -> list[str]:
        return [
            _line(place, self.items[place], context_id)
            for place, context_id in zip(self.firsts, self._contexts(), strict=True)
        ]


def _line(place: int, item: Item, context_id: int) -> str:
    """A row of metering_staging."""
    event = item.verdict.event
    properties = _json.encode(event.properties).decode() if event.properties else "{}"
    return (
        f"{place}\t{event.tenant_id}\t{event.identity.hex()}\t{event.fingerprint}\t{item.intake_id}\t"
        f"{event.is_timestamp_given}\t{context_id}\t{event.timestamp.isoformat()}\t{item.read.received}\t"
        f"{item.verdict.is_late}\t{event.quantity}\t{escaped(event.idempotency_key)}\t{escaped(properties)}"
    )
