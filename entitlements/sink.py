"""Usage as it is counted: the customers it concerns are news for the edge, and what was reserved for it is settled."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from aforo.tenancy.models import Tenant
from metering.ports import CountedUsage

from .selectors.features import metrics_counted
from .services.leases import reservations_settled
from .services.touched import touched


class EdgeSink:
    """Metering's UsageSink. One query a batch asks whether any of it is counted by a feature; mostly that is all."""

    def usage_counted(self, tenant_ids: Collection[int], usage: Iterable[CountedUsage]) -> None:
        counted = metrics_counted(tenant_ids)
        if not counted:
            return
        customers: dict[int, set[int]] = defaultdict(set)
        reserved: dict[int, list[tuple[int, str]]] = defaultdict(list)
        for one in usage:
            if (one.tenant_id, one.metric) in counted:
                customers[one.tenant_id].add(one.customer_id)
                if one.reservation_id is not None:
                    reserved[one.tenant_id].append((one.customer_id, one.reservation_id))
        for tenant_id in sorted(reserved):
            reservations_settled(tenant_id=tenant_id, reservations=reserved[tenant_id])
        for tenant in Tenant.objects.filter(pk__in=customers).order_by("pk"):
            touched(tenant=tenant, customer_ids=customers[tenant.pk])
