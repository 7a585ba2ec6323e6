"""Events as aggregations read them: each once, as it counts today or as it counted before anybody corrected it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from django.db import connection
from django.db.models import Q, QuerySet, TextField
from django.db.models.functions import Cast

from aforo.kernel.periods import Period
from aforo.tenancy.models import Tenant

from ..event import UsageEvent
from ..models import Correction, Event, UsageContext
from ..strict_json import read_json
from .archive import archive_demand_rows


def counted_events(
    *, tenant: Tenant, customer_id: int, metric: str, pieces: Iterable[Period], is_corrected: bool = True
) -> Iterator[UsageEvent]:
    """A customer's events of a metric inside some periods, in no particular order; fields no meter reads are empty.

    Raises Problem events_archived.

    customer_id: the customer's row. pieces: in order and apart. is_corrected: without what corrections superseded; or
    else without what they put in its place.
    """
    rows = (
        _counted_rows(tenant, customer_id, metric, pieces, is_corrected)
        # As text: the database's own reading of JSON would make floats of exact numbers.
        .annotate(properties_text=Cast("properties", TextField()))
        .values_list("occurred_at", "key", "quantity", "properties_text")
    )
    for occurred_at, key, quantity, text in rows.iterator(chunk_size=5_000):
        properties: dict[str, Any] = read_json(text.encode())
        yield UsageEvent(
            idempotency_key=key,
            tenant_id=tenant.pk,
            customer_id="",
            metric=metric,
            quantity=quantity,
            timestamp=occurred_at,
            source="",
            properties=properties,
            is_timestamp_given=True,
            fingerprint=0,
            identity=b"",
        )


# Of many customers at once; the few corrected identities are hashed once, as below.
_SUMMED = """
WITH wanted AS (
    SELECT place, context.id AS context, start_at, end_at
    FROM unnest(%s::int[], %s::bigint[], %s::text[], %s::timestamptz[], %s::timestamptz[])
        AS part (place, customer, metric, start_at, end_at)
    JOIN metering_usagecontext AS context
        ON context.tenant_id = %s AND context.customer_id = customer AND context.metric = part.metric
)
SELECT place, count(*), sum(quantity) FROM wanted CROSS JOIN LATERAL (
    SELECT identity, quantity FROM metering_event
    WHERE tenant_id = %s AND context_id = context AND occurred_at >= start_at AND occurred_at < end_at
) AS event
WHERE identity NOT IN (
    SELECT superseded FROM metering_correction
    WHERE tenant_id = %s AND superseded_context_id IN (SELECT context FROM wanted)
)
GROUP BY place
"""


def events_summed(*, tenant: Tenant, parts: Sequence[tuple[int, str, Period]]) -> list[tuple[int, Decimal]]:
    """Of each customer (its row), metric and period how many events `counted_events` would give, and the sum of their
    quantities; one query, added up by the store.

    Raises Problem events_archived.
    """
    sums = [(0, Decimal(0))] * len(parts)
    if not parts:
        return sums
    archive_demand_rows(tenant, [period for _, _, period in parts])
    columns = [
        list(range(len(parts))),
        [customer_id for customer_id, _, _ in parts],
        [metric for _, metric, _ in parts],
        [period.start for _, _, period in parts],
        [period.end for _, _, period in parts],
    ]
    with connection.cursor() as cursor:
        cursor.execute(_SUMMED, [*columns, tenant.pk, tenant.pk, tenant.pk])
        for place, count, amount in cursor:
            sums[place] = (count, amount)
    return sums


def _counted_rows(
    tenant: Tenant, customer_id: int, metric: str, pieces: Iterable[Period], is_corrected: bool
) -> QuerySet[Event]:
    """Raises Problem events_archived."""
    pieces = _joined(pieces)
    archive_demand_rows(tenant, pieces)
    # The numbers first: the index on events begins with the context.
    contexts = UsageContext.objects.of(tenant).filter(customer_id=customer_id, metric=metric)
    context_ids = list(contexts.values_list("pk", flat=True))
    inside = Q()
    for piece in pieces:
        inside |= Q(occurred_at__gte=piece.start, occurred_at__lt=piece.end)
    return (
        Event.objects.filter(inside, tenant=tenant, context_id__in=context_ids)
        # One statement, so that a correction that commits meanwhile is in it as a whole or not at all; and not
        # correlated, so that PostgreSQL hashes the few identities once, whatever it knows of the tables.
        .exclude(identity__in=_left_out(tenant, context_ids, is_corrected))
    )


def _left_out(tenant: Tenant, context_ids: list[int], is_corrected: bool) -> QuerySet:
    """The identities, in these contexts, of what corrections superseded, or of what they put in its place."""
    corrections = Correction.objects.of(tenant)
    if is_corrected:
        return corrections.filter(superseded_context__in=context_ids).values("superseded")
    return corrections.filter(replacement_context__in=context_ids).values("replacement")


def _joined(pieces: Iterable[Period]) -> list[Period]:
    """Pieces that touch as one, so that the hours of a zone at half past are one range and not 744."""
    joined: list[Period] = []
    for piece in pieces:
        if joined and joined[-1].end == piece.start:
            joined[-1] = Period(joined[-1].start, piece.end)
        else:
            joined.append(piece)
    return joined
