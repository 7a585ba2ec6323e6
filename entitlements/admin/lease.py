"""Pools of hard quotas, and the leases that sites hold of them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Exists, OuterRef, QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import TextFilter
from unfold.decorators import display
from unfold.views import ChangeList

from aforo.kernel.clock import now
from aforo.tenancy.admin.filters import CustomerFilter
from aforo.tenancy.admin.rows import OwnRelatedFilter, RowInline, TenantAdmin
from aforo.tenancy.admin.workspace import tenant_of_request

from ..models import Lease, QuotaPool
from ..records import units_text
from ..selectors.pools import PoolSpread, pools_spread, totals_of


class SiteFilter(TextFilter):
    """By the name of a site that holds a lease of the pool, in full."""

    title = "site"
    parameter_name = "site"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        named = self.value()
        leases = Lease.objects.filter(pool=OuterRef("pk"), edge=named and named.strip())
        return queryset.filter(Exists(leases)) if named else queryset


class SpreadList(ChangeList):
    """The page's pools, each with its spread, which is asked for all of them at once."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if not (self.query or self.has_active_filters):
            # Nothing is left out, and the heading offers no way to all.
            self.full_result_count = self.result_count
        self.result_list = list(self.result_list)
        if self.result_list:
            spread = pools_spread(tenant_of_request(request), self.result_list, now())
            for pool in self.result_list:
                pool.spread = spread[pool.pk]


class LeaseInline(RowInline):
    model = Lease
    verbose_name_plural = "Leases, by site and the life of its memory"
    fields = readonly_fields = (
        "site",
        "memory",
        "granted_units",
        "returned_units",
        "settled_units",
        "outstanding",
        "renewed_at",
        "recall",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).select_related("pool__feature")

    @display(description="Site")
    def site(self, lease: Lease) -> str:
        return lease.edge

    @display(description="Memory")
    def memory(self, lease: Lease) -> str:
        return lease.epoch

    @display(description="Granted")
    def granted_units(self, lease: Lease) -> str:
        return _text(lease.pool, lease.granted)

    @display(description="Given back")
    def returned_units(self, lease: Lease) -> str:
        return _text(lease.pool, lease.returned)

    @display(description="Settled")
    def settled_units(self, lease: Lease) -> str:
        return _text(lease.pool, lease.settled)

    @display(description="Outstanding")
    def outstanding(self, lease: Lease) -> str:
        return _text(lease.pool, totals_of(lease).outstanding)

    @display(description="Recalled")
    def recall(self, lease: Lease) -> str:
        return "another site wants units" if lease.is_recalled else "–"


@admin.register(QuotaPool)
class QuotaPoolAdmin(TenantAdmin):
    list_display = ("customer", "feature", "window", "quota", "billed", "in_leases", "unallocated", "sites")
    list_filter = (SiteFilter, CustomerFilter, ("feature", OwnRelatedFilter))
    list_filter_submit = True
    list_select_related = ("customer", "feature__meter")
    search_fields = ("customer__external_id",)
    # All that there ever were need not be counted for it.
    show_full_result_count = False
    fieldsets = (
        (None, {"fields": (("customer", "feature"), ("window_start", "window_end"))}),
        (
            "The quota",
            {
                "fields": (("quota", "billed"), ("in_leases", "unallocated"), "adds_up"),
                "description": "Billed + in leases + unallocated = quota, always. In leases is what sites were handed and have "
                "neither given back nor billed. A window that has ended has no quota any more.",
            },
        ),
    )
    readonly_fields = ("quota", "billed", "in_leases", "unallocated", "adds_up")
    inlines = (LeaseInline,)
    empty_state = "When a site reserves units of a hard limit, it gets a lease of the quota; each quota and its leases stand here."

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return SpreadList

    def get_queryset(self, request: HttpRequest) -> QuerySet:
        return super().get_queryset(request).prefetch_related("leases")

    @display(description="Window")
    def window(self, pool: QuotaPool) -> str:
        zone = pool.customer.zone
        start, end = (at.astimezone(zone) for at in (pool.window_start, pool.window_end))
        return f"{start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}"

    @display(description="Quota")
    def quota(self, pool: QuotaPool) -> str:
        return _text(pool, _spread_of(pool).quota)

    @display(description="Billed")
    def billed(self, pool: QuotaPool) -> str:
        return _text(pool, _spread_of(pool).billed)

    @display(description="In leases")
    def in_leases(self, pool: QuotaPool) -> str:
        return _text(pool, _spread_of(pool).outstanding)

    @display(description="Unallocated")
    def unallocated(self, pool: QuotaPool) -> str:
        return _text(pool, _spread_of(pool).unallocated)

    @display(description="Adds up")
    def adds_up(self, pool: QuotaPool) -> str:
        if _spread_of(pool).quota is None:
            return "–"
        return f"{self.billed(pool)} + {self.in_leases(pool)} + {self.unallocated(pool)} = {self.quota(pool)}"

    @display(description="Sites")
    def sites(self, pool: QuotaPool) -> str:
        return ", ".join(sorted({lease.edge for lease in pool.leases.all()}))


def _spread_of(pool: Any) -> PoolSpread:
    """As the list has asked for all its rows; on the page of one it is asked now."""
    if not hasattr(pool, "spread"):
        pool.spread = pools_spread(pool.tenant, [pool], now())[pool.pk]
    return pool.spread


def _text(pool: QuotaPool, units: int | None) -> str:
    return "–" if units is None else units_text(units, pool.feature.decimal_places)
