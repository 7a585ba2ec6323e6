"""The tax table: rates of a jurisdiction, each in force on its own days."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from uuid import UUID

from django.db import transaction

from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import row_save

from ..models import TaxRate
from ..selectors.tax import tax_rate_for


@transaction.atomic
def tax_rate_create(
    *,
    tenant: Tenant,
    jurisdiction: str,
    name: str,
    percent: Decimal | str,
    starts_on: date,
    ends_on: date | None = None,
    is_inclusive: bool = False,
) -> TaxRate:
    """Put a rate into the table, in force on [starts_on, ends_on).

    jurisdiction: what customers name, such as US-NY. name: what the invoice says; taxes of several names add up.
    percent: 8.875 means 8.875 %. is_inclusive: prices contain it.
    Raises Problem input_invalid, also where the same tax is in force on some of these days.
    """
    rate = TaxRate(
        tenant=tenant,
        jurisdiction=jurisdiction,
        name=name,
        percent=percent,
        starts_on=starts_on,
        ends_on=ends_on,
        is_inclusive=is_inclusive,
    )
    row_save(rate)
    return rate


@transaction.atomic
def tax_rate_end(*, tenant: Tenant, rate_id: UUID, ends_on: date) -> TaxRate:
    """End a rate, so that another can follow; ends_on is the first day without it.

    Invoices keep the rate that they were sealed with. Raises Problem not_found or input_invalid.
    """
    rate = tax_rate_for(tenant, rate_id)
    rate.ends_on = ends_on
    row_save(rate)
    return rate
