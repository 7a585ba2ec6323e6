"""What metering asks of others: who the customers are, what listens to a metric, what a customer has bought; and whom it tells.

Tenancy and metering's own selectors fill `Directory`; billing fills `CustomerDirectory` and `InvoiceImpact` in its
`apps.py`, entitlements `UsageSink` and `ReservationDesk`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from aforo.kernel.periods import Period

from .meters import Meter


@dataclass(frozen=True, slots=True)
class CustomerRef:
    """A customer of the tenant: its row and the name the tenant gave it ("cust_abc")."""

    id: int
    external_id: str


class Directory(Protocol):
    """What intake knows about one tenant. Both answers come from memory: they are asked once an event."""

    def meters_for(self, metric: str) -> tuple[Meter, ...]:
        """The meters that listen to this metric; none means that the metric is unknown."""

    def customer(self, external_id: str) -> CustomerRef | None:
        """The customer of this external id, or None where the tenant has none."""

    def customers_expect(self, external_ids: Iterable[str]) -> None:
        """These are about to be asked for: look up at once what memory does not know of them."""

    def holds(self, code: str) -> bool:
        """Whether the tenant keeps events refused with this code for later, rather than refusing them."""


class UsageContext(msgspec.Struct, frozen=True, cache_hash=True):
    """What an event is enriched with: the subscription, plan version and product it counts for.

    A struct that keeps its hash, because every event looks its context up. None and "" where the customer has no subscription to which the metric belongs at that instant.
    """

    subscription_id: UUID | None = None
    plan_version_id: UUID | None = None
    product: str = ""


class Bought(Protocol):
    """What some of a tenant's customers have bought, as known when it was asked for."""

    def context_at(self, customer_id: int, metric: str, at: datetime) -> UsageContext:
        """The context of one event. Asked by the writer once an event: answer from memory, in half a microsecond."""


class CustomerDirectory(Protocol):
    """What a customer has bought, at an instant; answered by billing."""

    def bought_by(self, *, tenant_id: int, customer_ids: Collection[int]) -> Bought:
        """What these customers have bought; a second old at most. Later edits of a plan do not change it."""


class NothingBought:
    """The directory of an installation without billing: no customer has a subscription."""

    _context = UsageContext()

    def bought_by(self, *, tenant_id: int, customer_ids: Collection[int]) -> Bought:
        return self

    def context_at(self, customer_id: int, metric: str, at: datetime) -> UsageContext:
        return self._context


_customer_directory: CustomerDirectory = NothingBought()


def customer_directory() -> CustomerDirectory:
    """The directory that billing filled in, or one that knows no subscriptions."""
    return _customer_directory


def customer_directory_fill(directory: CustomerDirectory) -> None:
    """Called once by the app that knows subscriptions, in its `apps.py`."""
    global _customer_directory
    _customer_directory = directory


@dataclass(frozen=True, slots=True, order=True)
class TouchedPeriod:
    """A subscription's billing period that some usage belongs to.

    customer_id: the customer's row. subscription: its code. invoice: the number of the period's invoice; None while
    the period is open, which is until its invoice is issued.
    """

    customer_id: int
    subscription: str
    period: Period
    invoice: str | None = None

    @property
    def is_open(self) -> bool:
        return self.invoice is None


class InvoiceImpact(Protocol):
    """Which bills change where usage changes; answered by billing."""

    def periods_of(
        self, *, tenant_id: int, metric: str, instants: Mapping[int, Collection[datetime]]
    ) -> tuple[TouchedPeriod, ...]:
        """The periods that usage of a metric belongs to, in order; none where nobody charges for it.

        instants: by the customer's row. A level lasts, so that periods after the instant belong to it, too.
        """


class NothingBilled:
    """The impact in an installation without billing."""

    def periods_of(
        self, *, tenant_id: int, metric: str, instants: Mapping[int, Collection[datetime]]
    ) -> tuple[TouchedPeriod, ...]:
        return ()


_invoice_impact: InvoiceImpact = NothingBilled()


def invoice_impact() -> InvoiceImpact:
    """The impact that billing filled in, or one that knows no invoices."""
    return _invoice_impact


def invoice_impact_fill(impact: InvoiceImpact) -> None:
    """Called once by the app that makes invoices, in its `apps.py`."""
    global _invoice_impact
    _invoice_impact = impact


class CountedUsage(NamedTuple):
    """That a customer's usage of a metric is another one now, by events that were stored or corrected.

    customer_id: the customer's row. reservation_id: what one of them says that it was reserved under, whether it was or not.
    """

    tenant_id: int
    customer_id: int
    metric: str
    reservation_id: str | None = None


class UsageSink(Protocol):
    """Who must know when usage changes; answered by entitlements."""

    def usage_counted(self, tenant_ids: Collection[int], usage: Iterable[CountedUsage]) -> None:
        """Called in the transaction that changes the buckets, once a batch. tenant_ids: those that usage may be of.

        usage: each customer and metric once, and each reservation once more; made as it is read, so that a batch that concerns
        nobody costs nothing.
        An event whose sink raises is refused; what it says of itself must be borne, then.
        """


class NobodyToTell:
    """The sink of an installation without entitlements."""

    def usage_counted(self, tenant_ids: Collection[int], usage: Iterable[CountedUsage]) -> None:
        pass


_usage_sink: UsageSink = NobodyToTell()


def usage_sink() -> UsageSink:
    """The sink that entitlements filled in, or one that tells nobody."""
    return _usage_sink


def usage_sink_fill(sink: UsageSink) -> None:
    """Called once by the app that counts what is left, in its `apps.py`."""
    global _usage_sink
    _usage_sink = sink


class ReservationDesk(Protocol):
    """Where units are reserved before they are used; answered by entitlements. tenant: as "acme_corp/live"."""

    def settle(self, *, tenant: str, reservation: str) -> str | None:
        """The units are used: the reservation's name for the writer, or None where it is not open any more.

        Raises Problem not_found for what is no reservation, storage_unavailable where nobody can be asked.
        """

    def unsettle(self, *, tenant: str, reservation: str) -> None:
        """They were not used after all, because the event was refused."""


class NoReservations:
    """The desk of an installation without entitlements."""

    def settle(self, *, tenant: str, reservation: str) -> str | None:
        return None

    def unsettle(self, *, tenant: str, reservation: str) -> None:
        return None


_desk: ReservationDesk = NoReservations()


def reservation_desk() -> ReservationDesk:
    return _desk


def reservation_desk_fill(desk: ReservationDesk) -> None:
    """Called once by the app that reserves, in its `apps.py`."""
    global _desk
    _desk = desk
