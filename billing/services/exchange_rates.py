"""Exchange rates: recorded by the tenant, a day at a time."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from django.db import transaction

from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import row_save

from ..models import ExchangeRate


@transaction.atomic
def exchange_rate_record(
    *, tenant: Tenant, base: str, quote: str, on: date, rate: Decimal | str
) -> ExchangeRate:
    """Record what one of *base* is in *quote* from a day on; recorded again, the new rate counts for what is issued later.

    Invoices keep the rate that they were issued with. Raises Problem input_invalid.

    USD to EUR at 0.92: an invoice of 9.20 EUR takes 10.00 of a wallet in USD.
    """
    row = ExchangeRate.objects.of(tenant).filter(base=base, quote=quote, on=on).select_for_update().first()
    row = row or ExchangeRate(tenant=tenant, base=base, quote=quote, on=on)
    row.rate = rate
    row_save(row)
    return row
