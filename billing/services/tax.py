"""Tax: the table of rates by jurisdiction, and customers' exemptions, each in force on its own days."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.db import transaction

from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.tenants import customer_for
from aforo.tenancy.services.rows import row_save

from ..models import TaxExemption, TaxRate
from ..selectors.tax import tax_exemption_for, tax_rate_for


@transaction.atomic
def tax_rate_create(
    *,
    tenant: Tenant,
    jurisdiction: str,
    name: str,
    percent: Decimal | str,
    starts_on: date,
    ends_on: date | None = None,
    **fields: Any,
) -> TaxRate:
    """Put a rate into the table, in force on [starts_on, ends_on).

    jurisdiction: what customers name, such as US-NY. name: what the invoice says; taxes of several names add up.
    percent: 8.875 means 8.875 %. fields: is_inclusive (prices contain it), position, is_compound, tax_category.
    Raises Problem input_invalid, also where the same tax is in force on some of these days.
    """
    rate = TaxRate(
        tenant=tenant,
        jurisdiction=jurisdiction,
        name=name,
        percent=percent,
        starts_on=starts_on,
        ends_on=ends_on,
        **fields,
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


@transaction.atomic
def tax_exemption_create(
    *,
    tenant: Tenant,
    customer: str,
    number: str,
    reason: str,
    starts_on: date,
    ends_on: date | None = None,
    jurisdiction: str = "",
    document_reference: str = "",
) -> TaxExemption:
    """Keep a customer's certificate, in force on [starts_on, ends_on).

    customer: its external id. jurisdiction: with those inside it; empty for every one.
    Raises Problem not_found, or input_invalid, also where there is a certificate of the jurisdiction on some of these days.
    """
    exemption = TaxExemption(
        tenant=tenant,
        customer=customer_for(tenant, customer),
        jurisdiction=jurisdiction,
        number=number,
        reason=reason,
        document_reference=document_reference,
        starts_on=starts_on,
        ends_on=ends_on,
    )
    row_save(exemption)
    return exemption


@transaction.atomic
def tax_exemption_end(*, tenant: Tenant, exemption_id: UUID, ends_on: date) -> TaxExemption:
    """End a certificate, or say until when it is prolonged; ends_on is the first day without it.

    Invoices keep what they were made with. Raises Problem not_found or input_invalid.
    """
    exemption = tax_exemption_for(tenant, exemption_id)
    exemption.ends_on = ends_on
    row_save(exemption)
    return exemption
