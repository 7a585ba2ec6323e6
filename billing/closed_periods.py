"""Closed periods: which invoiced periods of a subscription have other usage than was billed, read for `loading`.

Every invoice keeps marks of how much usage it saw in its own period and in those it billed again. A period is read again
where there are more events than its latest mark says, or where a correction came after it; whether that makes a
difference is the pipeline's to say.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from aforo.kernel.decimals import EXACT
from aforo.kernel.errors import Problem
from aforo.kernel.periods import Period
from aforo.tenancy.models import Customer, Tenant
from metering.aggregation import Aggregation
from metering.meters import Meter
from metering.selectors.corrections import CorrectedUsage
from metering.selectors.meters import meters_for
from metering.selectors.usage import HourPartial, levels_before, usage_buckets

from . import proof
from .models import Invoice, InvoiceLine, Subscription
from .pipeline import state as values
from .pipeline.metered import condensed, cuts_of
from .sources import Asked, Sources, period_of

# Events are accepted for 90 days; an older one comes by the replay of a dead letter. Corrections have no such bound.
LOOKED_BACK = timedelta(days=400)
# Of an event's key, in the line of an invoice.
KEY_LENGTH_MAX = 60


def closed_periods(
    tenant: Tenant, sources: Sources, asked: Asked
) -> tuple[tuple[values.ClosedPeriod, ...], tuple[values.UsageMark, ...]]:
    """The invoiced periods before a cycle that are to be billed again, in order; and the marks of what is read."""
    subscription, cycle, meters = asked.subscription, asked.cycle, asked.meters
    latest, seen = sources.latest_correction, sources.seen[subscription.pk]
    *counted, present = sources.counted[subscription.pk]
    closed, marks = [], [values.UsageMark(start=cycle.start, events=present, correction=latest)]
    for invoice, events in zip(sources.earlier(subscription.pk), counted, strict=True):
        period = period_of(invoice)
        mark = seen.get(period.start)
        since = [
            each
            for each in sources.corrections[subscription.pk]
            if each.correction.sequence > (mark.correction if mark else 0) and _touches(each, period, meters)
        ]
        is_recent = period.end > cycle.start - LOOKED_BACK
        is_other = mark is None or mark.events != events
        # A level lasts from before the period, where nobody counts.
        if since or (is_recent and (is_other or any(map(_is_level, meters.values())))):
            adjusting = _adjusting(subscription, cycle, period)
            try:
                closed.append(_closed(tenant, subscription, invoice, adjusting, _named(since, meters)))
            except Problem as problem:
                # What is known to have changed is not passed over: the month has to be restored.
                if problem.code != "events_archived" or since or is_other:
                    raise
                continue
            # What another draft carries may be drafted otherwise yet; the period is then looked at again.
            if not any(line.invoice.status == Invoice.Status.DRAFT for line in adjusting):
                marks.append(values.UsageMark(start=period.start, events=events, correction=latest))
    return tuple(closed), tuple(marks)


def meter_usage(
    *,
    tenant: Tenant,
    customer: Customer,
    meters: Mapping[str, Meter],
    period: Period,
    read: Callable[[str], Sequence[HourPartial] | None] = lambda key: None,
    cuts: Sequence[datetime] = (),
) -> tuple[values.MeterUsage, ...]:
    """The usage of each meter in a period, by the meter's key.

    read: the meter's buckets where they have been read. cuts: instants at which an hour is split.
    """
    inside = [at for at in cuts if at in period and at != period.start]
    of = {"tenant": tenant, "customer_id": customer.pk}
    return tuple(
        values.MeterUsage(
            meter=key,
            hours=tuple(
                values.HourUsage(hour=part.hour, dimensions=part.dimensions, partial=part.partial)
                for part in usage_buckets(**of, meter=meters[key], period=period, cuts=inside, read=read(key))
            ),
            levels=tuple(
                values.MeterLevel(at=level.at, key=level.key, value=level.value, dimensions=level.dimensions)
                for level in levels_before(**of, meter=meters[key], at=period.start)
            ),
        )
        for key in sorted(meters)
    )


def _is_level(meter: Meter) -> bool:
    return meter.aggregation is Aggregation.WEIGHTED_SUM


def _touches(change: CorrectedUsage, period: Period, meters: Mapping[str, Meter]) -> bool:
    """Whether the period's usage is another since; a level lasts into the periods after its instant."""
    if change.at in period:
        return True
    lasts = any(_is_level(meter) and meter.event_name == change.metric for meter in meters.values())
    return lasts and change.at < period.end


def _named(
    changes: Iterable[CorrectedUsage], meters: Mapping[str, Meter]
) -> tuple[values.UsageCorrection, ...]:
    """Each correction once, with the meters of the one or two places that it changed."""
    fed: dict[int, set[str]] = {}
    rows = {}
    for change in changes:
        rows[change.correction.sequence] = change.correction
        fed.setdefault(change.correction.sequence, set()).update(
            key for key, meter in meters.items() if meter.event_name == change.metric
        )
    return tuple(
        values.UsageCorrection(
            id=str(row.pk),
            text=f"{row.get_kind_display().lower()} {_short(row.idempotency_key)}",
            meters=tuple(sorted(fed[sequence])),
        )
        for sequence, row in sorted(rows.items())
    )


def _short(key: str) -> str:
    return key if len(key) <= KEY_LENGTH_MAX else f"{key[: KEY_LENGTH_MAX - 1]}…"


def _closed(
    tenant: Tenant,
    subscription: Subscription,
    invoice: Invoice,
    adjusting: Iterable[InvoiceLine],
    corrections: tuple[values.UsageCorrection, ...],
) -> values.ClosedPeriod:
    sealed = proof.unseal(bytes(invoice.sealed_input))
    keys = {charge.meter for charge in sealed.charges if charge.meter}
    meters = {row.key: row.meter() for row in meters_for(tenant).filter(key__in=keys)}
    usage = meter_usage(
        tenant=tenant,
        customer=subscription.customer,
        meters=meters,
        period=sealed.period,
        cuts=cuts_of(sealed.charges),
    )
    given = {name: getattr(sealed, name) for name in values.INPUTS}
    return values.ClosedPeriod(
        invoice=invoice.number,
        rule_version=sealed.rule_version,
        input=replace(
            values.BillingInput(**given),
            usage=tuple(condensed(each, sealed.charges) for each in usage),
            # What that invoice adjusted and paid from is not of its period.
            closed=(),
            marks=(),
            wallet=(),
        ),
        billed=_billed(invoice, adjusting),
        corrections=corrections,
    )


def _adjusting(subscription: Subscription, cycle: Period, period: Period) -> list[InvoiceLine]:
    """The lines that adjust a period, on other invoices than that of the cycle itself.

    Drafts count, so that two of them never carry the same difference; and so do adjustments of a void invoice of the
    period, which the one in its place bills from the start.
    """
    numbers = Invoice.objects.filter(
        subscription=subscription, period_start=period.start, number__isnull=False
    ).values_list("number", flat=True)
    lines = InvoiceLine.objects.filter(invoice__subscription=subscription, adjusts__in=list(numbers))
    return list(
        lines.select_related("invoice")
        .exclude(invoice__status=Invoice.Status.VOID)
        .exclude(invoice__period_start=cycle.start)
        .order_by("pk")
    )


def _billed(invoice: Invoice, adjusting: Iterable[InvoiceLine]) -> tuple[values.BilledLine, ...]:
    """What the period's invoice billed by kind and code, and the adjustments since."""
    own = invoice.lines.filter(adjusts="").exclude(kind=InvoiceLine.Kind.DISCOUNT)
    billed: dict[tuple[str, str], values.BilledLine] = {}
    for line in [*own, *adjusting]:
        found = billed.get((line.kind, line.code))
        before = (found.quantity, found.amount) if found else (Decimal(0), Decimal(0))
        billed[line.kind, line.code] = values.BilledLine(
            kind=line.kind,
            code=line.code,
            quantity=EXACT.add(before[0], line.quantity),
            amount=EXACT.add(before[1], EXACT.add(line.amount, line.discount)),
        )
    return tuple(billed[key] for key in sorted(billed))
