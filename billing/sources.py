"""Sources: the rows that the inputs of several periods are made of, read in one query a kind however many there are.

`loading` takes each input out of them, so that a chunk of a bill run costs about as many queries as one preview.
What counts usage is read before the usage itself, and the tenant's last correction first of all: what commits in between
is looked at once more, and never missed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from uuid import UUID

from django.db.models import Q

from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant
from metering.meters import Meter
from metering.selectors.corrections import CorrectedUsage, corrected_usage, last_correction
from metering.selectors.usage import HourPartial, Wanted, buckets_read, events_counted

from .models import Invoice, InvoiceLine, Subscription, TaxExemption, TaxRate
from .pipeline.state import UsageMark
from .selectors.invoices import live_invoices_of
from .selectors.periods import billed_period
from .selectors.profiles import billing_profile_for
from .selectors.tax import places_around, tax_exemptions_for, tax_jurisdiction_of, tax_rates_for
from .selectors.timeline import has_advance, versions_held

# For so long an invoice warns that an exemption has run out.
EXPIRY_REMEMBERED = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Asked:
    """One period of one subscription. period: the part of the cycle in which it ran, None where it did not."""

    subscription: Subscription
    cycle: Period
    period: Period | None
    meters: Mapping[str, Meter]


class Sources:
    """Of some subscriptions of one tenant, each with one cycle. All are by the subscription's row.

    invoices: all but the void ones, by period, without input and trace. counted: events in each invoiced period and, last,
    in the cycle. corrections: since the oldest mark. seen: the latest mark of each invoiced period, by its start.
    ahead: the lines that bill fees of the cycle in advance, and the setup fees of the invoice of the start.
    """

    def __init__(self, tenant: Tenant, billed: Sequence[tuple[Subscription, Period]]) -> None:
        self.latest_correction = last_correction(tenant)
        self.asked = {
            subscription.pk: Asked(
                subscription, cycle, billed_period(subscription, cycle), _meters(subscription)
            )
            for subscription, cycle in billed
        }
        self.invoices = _invoices(tenant, list(self.asked))
        self.seen = {pk: _marks(self.earlier(pk)) for pk in self.asked}
        self.counted = self._counted(tenant)
        self.corrections = self._corrections(tenant)
        self.profile = billing_profile_for(tenant)
        customers = {subscription.customer_id: subscription.customer for subscription, _ in billed}
        self._rates = _tax_rates(tenant, customers.values())
        self._exemptions = _tax_exemptions(tenant, customers)
        self._buckets = self._buckets_read(tenant)
        self.ahead = self._ahead(tenant)

    def earlier(self, subscription_id: UUID) -> list[Invoice]:
        """The issued invoices of the periods before the cycle."""
        start = self.asked[subscription_id].cycle.start
        return [
            invoice
            for invoice in self.invoices[subscription_id]
            if invoice.sequence is not None and invoice.period_end <= start
        ]

    def buckets(self, subscription_id: UUID, meter: str) -> list[HourPartial]:
        """The buckets of the billed period, by the meter's key."""
        return self._buckets[subscription_id, meter]

    def tax_rates(self, jurisdiction: str, on: date) -> list[TaxRate]:
        """Those of a jurisdiction and of the places around it in force on a day, in the order they are taken."""
        found = [
            rate
            for place in places_around(jurisdiction)
            for rate in self._rates.get(place, ())
            if rate.starts_on <= on and (rate.ends_on is None or rate.ends_on > on)
        ]
        return sorted(found, key=lambda rate: rate.position)

    def tax_exemptions(self, customer: Customer, on: date) -> list[TaxExemption]:
        """A customer's certificates in force on a day, and those that ended in the year before it."""
        since = on - EXPIRY_REMEMBERED
        return [
            exemption
            for exemption in self._exemptions.get(customer.pk, ())
            if exemption.starts_on <= on and (exemption.ends_on is None or exemption.ends_on > since)
        ]

    def _counted(self, tenant: Tenant) -> dict[UUID, list[int]]:
        wanted, places = [], []
        for pk, asked in self.asked.items():
            for period in (*map(period_of, self.earlier(pk)), asked.cycle):
                wanted.append(_wanted(asked, period))
                places.append(pk)
        counted: dict[UUID, list[int]] = {pk: [] for pk in self.asked}
        for pk, events in zip(places, events_counted(tenant=tenant, wanted=wanted), strict=True):
            counted[pk].append(events)
        return counted

    def _corrections(self, tenant: Tenant) -> dict[UUID, list[CorrectedUsage]]:
        oldest = {
            pk: min(
                (
                    self.seen[pk][at].correction if at in self.seen[pk] else 0
                    for at in _starts(self.earlier(pk))
                ),
                default=self.latest_correction,
            )
            for pk in self.asked
        }
        behind = [self.asked[pk] for pk, sequence in oldest.items() if sequence < self.latest_correction]
        found: dict[UUID, list[CorrectedUsage]] = {pk: [] for pk in self.asked}
        if not behind:
            return found
        changes = corrected_usage(
            tenant,
            customer_ids={asked.subscription.customer_id for asked in behind},
            metrics={meter.event_name for asked in behind for meter in asked.meters.values()},
            after=min(oldest.values()),
        )
        for asked in behind:
            subscription = asked.subscription
            metrics = {meter.event_name for meter in asked.meters.values()}
            found[subscription.pk] = [
                change
                for change in changes
                if change.customer_id == subscription.customer_id
                and change.metric in metrics
                and change.correction.sequence > oldest[subscription.pk]
            ]
        return found

    def _ahead(self, tenant: Tenant) -> dict[UUID, list[InvoiceLine]]:
        asking = {
            pk: asked.cycle.start
            for pk, asked in self.asked.items()
            if asked.subscription.setup_fees.all() or any(map(has_advance, versions_held(asked.subscription)))
        }
        found: dict[UUID, list[InvoiceLine]] = {pk: [] for pk in self.asked}
        if not asking:
            return found
        start = {"kind": InvoiceLine.Kind.SETUP_FEE, "invoice__kind": Invoice.Kind.START}
        lines = (
            InvoiceLine.objects.of(tenant)
            .filter(Q(ahead_of__in=set(asking.values())) | Q(**start), invoice__subscription__in=list(asking))
            .filter(adjusts="")
            .exclude(invoice__status=Invoice.Status.VOID)
            .select_related("invoice")
            .order_by("invoice__period_start", "position")
        )
        for line in lines:
            pk = line.invoice.subscription_id
            if line.ahead_of in (None, asking[pk]):
                found[pk].append(line)
        return found

    def _buckets_read(self, tenant: Tenant) -> dict[tuple[UUID, str], list[HourPartial]]:
        keys, wanted = [], []
        for pk, asked in self.asked.items():
            if asked.period is not None:
                keys += [(pk, key) for key in asked.meters]
                wanted += _wanted(asked, asked.period)
        return dict(zip(keys, buckets_read(tenant=tenant, wanted=wanted), strict=True))


def period_of(invoice: Invoice) -> Period:
    return Period(invoice.period_start, invoice.period_end)


def _starts(invoices: Iterable[Invoice]) -> list[datetime]:
    return [invoice.period_start for invoice in invoices]


def _wanted(asked: Asked, period: Period) -> list[Wanted]:
    return [Wanted(asked.subscription.customer_id, meter, period) for meter in asked.meters.values()]


def _meters(subscription: Subscription) -> dict[str, Meter]:
    """Those that the subscription is or was charged for, by key."""
    return {
        charge.meter.key: charge.meter.meter()
        for version in versions_held(subscription)
        for charge in version.charges.all()
        if charge.meter
    }


def _invoices(tenant: Tenant, subscription_ids: list[UUID]) -> dict[UUID, list[Invoice]]:
    found: dict[UUID, list[Invoice]] = {pk: [] for pk in subscription_ids}
    for invoice in live_invoices_of(tenant, subscription_ids).order_by("period_start"):
        found[invoice.subscription_id].append(invoice)
    return found


def _marks(invoices: Iterable[Invoice]) -> dict[datetime, UsageMark]:
    """The latest mark of each period, by its start."""
    return {
        at: UsageMark(start=at, events=mark["events"], correction=mark["correction"])
        for invoice in invoices
        for mark in invoice.usage_marks
        for at in [datetime.fromisoformat(mark["start"])]
    }


def _tax_rates(tenant: Tenant, customers: Iterable[Customer]) -> dict[str, list[TaxRate]]:
    """By jurisdiction, the customers' own and those around them."""
    places = {place for customer in customers for place in places_around(tax_jurisdiction_of(customer))}
    found: dict[str, list[TaxRate]] = {}
    if places:
        rates = tax_rates_for(tenant).filter(jurisdiction__in=places)
        for rate in rates.order_by("name", "tax_category", "starts_on"):
            found.setdefault(rate.jurisdiction, []).append(rate)
    return found


def _tax_exemptions(tenant: Tenant, customer_ids: Iterable[int]) -> dict[int, list[TaxExemption]]:
    found: dict[int, list[TaxExemption]] = {}
    exemptions = tax_exemptions_for(tenant).filter(customer_id__in=customer_ids)
    for exemption in exemptions.order_by("jurisdiction", "starts_on"):
        found.setdefault(exemption.customer_id, []).append(exemption)
    return found
