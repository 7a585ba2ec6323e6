"""What intake asks about a tenant, answered from this process's memory, and by PostgreSQL before any refusal.

Meters are trusted for less than a second, so that a new filter or price dimension counts at once everywhere.
A customer's number never changes under its external id, so it is trusted for a minute.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from django.db import InterfaceError, OperationalError

from aforo.tenancy.models import Customer

from ..meters import Meter
from ..models import MeteringProfile, MeterRow
from ..ports import CustomerRef, Directory

METERS_TRUSTED_S = 0.8
CUSTOMERS_TRUSTED_S = 60
# About 20 MB; a process that meets more starts anew rather than growing.
CUSTOMERS_KEPT_MAX = 100_000
TENANTS_KEPT_MAX = 1_000
# PostgreSQL is away: known names are then answered from memory, however old.
OUTAGE = (OperationalError, InterfaceError)


@dataclass(frozen=True, slots=True)
class _MeterTable:
    by_metric: dict[str, tuple[Meter, ...]]
    read_at_s: float


_meters: dict[int, _MeterTable] = {}
_customers: dict[tuple[int, str], tuple[CustomerRef, float]] = {}


def directory_for(tenant_id: int) -> Directory:
    """The directory for one submission, or one batch of the writer: make a new one for each.

    What it does not find is asked of PostgreSQL once and then stays unknown to this directory, so that 10,000 unknown
    customers cost one query, while the next submission sees a customer created a moment ago.
    """
    return _TenantDirectory(tenant_id)


class _TenantDirectory:
    def __init__(self, tenant_id: int) -> None:
        self._tenant_id = tenant_id
        self._made_at_s = time.monotonic()
        # What was found stays found for this submission, or batch.
        self._listening: dict[str, tuple[Meter, ...]] = {}
        self._known: dict[str, CustomerRef] = {}
        self._unknown: set[str] = set()
        self._held: frozenset[str] | None = None

    def meters_for(self, metric: str) -> tuple[Meter, ...]:
        found = self._listening.get(metric)
        if found is None:
            found = self._listening[metric] = self._meters_for(metric)
        return found

    def _meters_for(self, metric: str) -> tuple[Meter, ...]:
        table = _meters.get(self._tenant_id)
        if table is None or self._made_at_s - table.read_at_s > METERS_TRUSTED_S:
            try:
                table = self._read_meters()
            except OUTAGE:
                # What is known goes on into the log; what is not cannot be told from what does not exist.
                if table is None or metric not in table.by_metric:
                    raise
        found = table.by_metric.get(metric, ())
        if not found and table.read_at_s < self._made_at_s:
            found = self._read_meters().by_metric.get(metric, ())
        return found

    def customer(self, external_id: str) -> CustomerRef | None:
        found = self._known.get(external_id)
        if found is None and external_id not in self._unknown:
            kept = _customers.get((self._tenant_id, external_id))
            if kept is not None and self._is_fresh(kept):
                return kept[0]
            try:
                return self._read_customers([external_id]).get(external_id)
            except OUTAGE:
                if kept is None:
                    raise
                return kept[0]
        return found

    def customers_expect(self, external_ids: Iterable[str]) -> None:
        missing = []
        for external_id in external_ids:
            kept = _customers.get((self._tenant_id, external_id))
            if kept is not None and self._is_fresh(kept):
                self._known[external_id] = kept[0]
            elif external_id not in self._unknown:
                missing.append(external_id)
        if len(missing) < 2:
            return
        try:
            self._read_customers(missing)
        except OUTAGE:
            # Whether a name is known from before is decided for each, when it is asked for.
            return

    def holds(self, code: str) -> bool:
        if self._held is None:
            profile = MeteringProfile.objects.filter(tenant_id=self._tenant_id).first()
            self._held = frozenset() if profile is None else profile.held_codes
        return code in self._held

    def _is_fresh(self, kept: tuple[CustomerRef, float]) -> bool:
        return self._made_at_s - kept[1] < CUSTOMERS_TRUSTED_S

    def _read_customers(self, external_ids: list[str]) -> dict[str, CustomerRef]:
        rows = Customer.objects.filter(tenant_id=self._tenant_id, external_id__in=external_ids)
        found = {name: CustomerRef(number, name) for number, name in rows.values_list("id", "external_id")}
        self._unknown |= set(external_ids) - found.keys()
        self._known |= found
        if len(_customers) + len(found) > CUSTOMERS_KEPT_MAX:
            _customers.clear()
        for name, customer in found.items():
            _customers[self._tenant_id, name] = customer, self._made_at_s
        return found

    def _read_meters(self) -> _MeterTable:
        # Taken before the query: a change that commits meanwhile is then noticed no later than its time.
        read_at_s = time.monotonic()
        listening: dict[str, list[Meter]] = {}
        for row in MeterRow.objects.filter(tenant_id=self._tenant_id).order_by("id"):
            meter = row.meter()
            listening.setdefault(meter.event_name, []).append(meter)
        table = _MeterTable({metric: tuple(meters) for metric, meters in listening.items()}, read_at_s)
        if len(_meters) >= TENANTS_KEPT_MAX:
            _meters.clear()
        _meters[self._tenant_id] = table
        return table
