"""The doors to exchange rates; each asks for the tenant."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import given

from ..models import ExchangeRate

# Banks publish none on weekends and holidays; what is older says too little.
COUNTS_FOR = timedelta(days=7)


def exchange_rates_listed(
    tenant: Tenant, *, base: str | None = None, quote: str | None = None, on: date | None = None
) -> QuerySet[ExchangeRate]:
    return ExchangeRate.objects.of(tenant).filter(**given(base=base, quote=quote, on=on))


def exchange_rates_on(
    tenant: Tenant, *, bases: Collection[str], quote: str, on: date
) -> dict[str, ExchangeRate]:
    """By base, the latest rate to a currency recorded for a day or the six before it; none where there is none."""
    if not bases:
        return {}
    rows = exchange_rates_listed(tenant, quote=quote).filter(
        base__in=bases, on__gt=on - COUNTS_FOR, on__lte=on
    )
    return {row.base: row for row in rows.order_by("on")}
