"""Leases: units of hard quotas handed to sites, taken back, and settled with the usage that they were reserved for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence

from django.db import connection, transaction

from aforo.kernel.clock import now
from aforo.tenancy.models import Customer, Tenant

from ..leases import grant_size, unallocated
from ..models import Lease, QuotaPool
from ..records import milliseconds
from ..renewals import LeaseReply, LeaseRequest
from ..selectors.leases import lease_record
from ..selectors.pools import is_leased, quota_of, totals_of
from ..selectors.terms import FeatureTerms, feature_terms
from ..selectors.usage import Asked, used_of
from .touched import touched


def leases_renew(
    *, tenant: Tenant, edge: str, epoch: str, requests: Sequence[LeaseRequest]
) -> list[LeaseReply]:
    """Hand units to a site that wants them, and take over what it gave back; in the order of the requests.

    edge, epoch: the site, and the life of its memory. A request may come twice: one that does not know yet what was granted
    is told it again, and nothing more. Each is a transaction of its own, under the lock of its pool.
    """
    names = {request.customer for request in requests}
    customers = {row.external_id: row for row in Customer.objects.of(tenant).filter(external_id__in=names)}
    at = now()
    terms = feature_terms(tenant, list(customers.values()), at)
    replies = []
    for request in requests:
        customer = customers.get(request.customer)
        has = None if customer is None else terms[customer.pk].features.get(request.feature)
        if customer is None or has is None or not is_leased(has):
            replies.append(LeaseReply(request.customer, request.feature))
        else:
            replies.append(_renewed(tenant, customer, has, edge, epoch, request))
    return replies


@transaction.atomic
def _renewed(
    tenant: Tenant, customer: Customer, has: FeatureTerms, edge: str, epoch: str, request: LeaseRequest
) -> LeaseReply:
    start, end = has.window.period.start, has.window.resets_at
    of_window = {"tenant": tenant, "customer": customer, "feature": has.feature, "window_start": start}
    QuotaPool.objects.get_or_create(**of_window, defaults={"window_end": end})
    pool = QuotaPool.objects.select_for_update().get(**of_window)
    if end > pool.window_end:
        pool.window_end = end
        pool.save(update_fields=["window_end"])
    Lease.objects.get_or_create(tenant=tenant, pool=pool, edge=edge, epoch=epoch)
    # The writer moves units from a lease to the usage at once: locked first, they count in one of the two at least.
    leases = list(Lease.objects.select_for_update().filter(pool=pool).order_by("pk"))
    lease = next(one for one in leases if (one.edge, one.epoch) == (edge, epoch))
    if request.lease in (None, lease.pk):
        lease.returned = max(lease.returned, min(request.returned, lease.granted))
        is_known = request.have >= lease.granted
    else:
        # It speaks of the lease of another window.
        is_known = lease.granted == 0
    free = unallocated(quota_of(has), _billed(tenant, customer, has), [totals_of(one) for one in leases])
    more = grant_size(free, is_first=lease.granted == 0) if is_known else 0
    lease.granted += more
    lease.is_recalled = False
    lease.renewed_at = now()
    lease.save(update_fields=["granted", "returned", "is_recalled", "renewed_at"])
    others = [one for one in leases if one is not lease and totals_of(one).outstanding]
    if more == 0 and is_known and free <= 0:
        _recall(tenant, customer, others)
    reply = lease_record(lease, has_more=free > more or bool(others))
    return LeaseReply(request.customer, request.feature, milliseconds(start), reply)


def _recall(tenant: Tenant, customer: Customer, others: Iterable[Lease]) -> None:
    """Ask the other sites for what they do not need."""
    fresh = [one.pk for one in others if not one.is_recalled]
    if fresh:
        Lease.objects.filter(pk__in=fresh).update(is_recalled=True)
        touched(tenant=tenant, customer_ids=[customer.pk])


def _billed(tenant: Tenant, customer: Customer, has: FeatureTerms) -> int:
    if has.meter is None:
        return 0
    asked = Asked(customer.pk, has.meter, has.window.period, has.feature.decimal_places)
    return used_of(tenant, [asked])[0]


# In the order of the leases, so that two transactions never wait for each other crosswise.
_SETTLE = """
WITH named AS (
    SELECT DISTINCT lease, units, nonce FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[])
        AS named (customer, lease, units, nonce)
    WHERE EXISTS (
        SELECT FROM entitlements_lease JOIN entitlements_quotapool AS pool ON pool.id = pool_id
        WHERE entitlements_lease.id = lease AND pool.tenant_id = %s AND customer_id = customer
    )
), fresh AS (
    INSERT INTO entitlements_settlement (tenant_id, lease_id, nonce)
    SELECT %s, lease, nonce FROM named ORDER BY lease, nonce
    ON CONFLICT DO NOTHING RETURNING lease_id, nonce
), sums AS (
    SELECT lease_id, sum(units) AS units FROM fresh JOIN named ON lease = lease_id AND named.nonce = fresh.nonce
    GROUP BY lease_id
), locked AS (
    SELECT id, sums.units FROM entitlements_lease JOIN sums ON id = lease_id ORDER BY id FOR UPDATE OF entitlements_lease
)
UPDATE entitlements_lease SET settled = settled + locked.units FROM locked WHERE entitlements_lease.id = locked.id
"""


def reservations_settled(*, tenant_id: int, reservations: Collection[tuple[int, str]]) -> None:
    """Move the units of reservations from their leases to the usage, in the transaction that counts it.

    reservations: the customer's row and the id ("7.10.n4Kx…") that an event says; what is no id of a lease of that customer
    says nothing. A second event that names the same reservation moves nothing.
    """
    columns: dict[str, list[object]] = defaultdict(list)
    for customer_id, text in reservations:
        lease, _, rest = text.partition(".")
        units, _, nonce = rest.partition(".")
        is_id = lease.isascii() and lease.isdigit() and units.isascii() and units.isdigit()
        if is_id and lease != "0" and len(lease) < 18 and len(units) < 17 and 0 < len(nonce) <= 64:
            for name, value in (("customer", customer_id), ("lease", int(lease)), ("units", int(units))):
                columns[name].append(value)
            columns["nonce"].append(nonce)
    if columns:
        with connection.cursor() as cursor:
            values = [columns[name] for name in ("customer", "lease", "units", "nonce")]
            cursor.execute(_SETTLE, [*values, tenant_id, tenant_id])
