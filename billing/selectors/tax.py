"""The doors to the tax table, to customers' exemptions and to engines' answers; each asks for the tenant."""

from __future__ import annotations

from uuid import UUID

import msgspec
from django.db.models import QuerySet

from aforo.kernel.vat import vat_country
from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.selectors.rows import found, given

from ..models import TaxExemption, TaxQuote, TaxRate
from ..pipeline import state as values


def tax_rates_for(tenant: Tenant) -> QuerySet[TaxRate]:
    return TaxRate.objects.of(tenant)


def tax_rates_listed(tenant: Tenant, *, jurisdiction: str | None = None) -> QuerySet[TaxRate]:
    return tax_rates_for(tenant).filter(**given(jurisdiction=jurisdiction))


def tax_jurisdiction_of(customer: Customer) -> str:
    """Its own, or else that of its country's VAT; empty for none."""
    return customer.tax_jurisdiction or vat_country(customer.country)


def places_around(jurisdiction: str) -> list[str]:
    """A jurisdiction and those that it lies in, the outermost first: US, US-NY, US-NY-NYC; none for none."""
    parts = jurisdiction.split("-") if jurisdiction else []
    return ["-".join(parts[: depth + 1]) for depth in range(len(parts))]


def tax_rate_for(tenant: Tenant, rate_id: UUID) -> TaxRate:
    """Raises Problem not_found."""
    return found(tax_rates_for(tenant), pk=rate_id)


def tax_exemptions_for(tenant: Tenant) -> QuerySet[TaxExemption]:
    return TaxExemption.objects.of(tenant).select_related("customer")


def tax_exemptions_listed(
    tenant: Tenant, *, customer: str | None = None, jurisdiction: str | None = None
) -> QuerySet[TaxExemption]:
    """customer: its external id."""
    named = given(customer__external_id=customer, jurisdiction=jurisdiction)
    return tax_exemptions_for(tenant).filter(**named)


def tax_exemption_for(tenant: Tenant, exemption_id: UUID) -> TaxExemption:
    """Raises Problem not_found."""
    return found(tax_exemptions_for(tenant), pk=exemption_id)


def tax_quotes_for(tenant: Tenant) -> QuerySet[TaxQuote]:
    return TaxQuote.objects.of(tenant)


def tax_quote_value(row: TaxQuote) -> values.TaxQuote:
    """The recorded answer as the pipeline takes it."""
    return values.TaxQuote(
        question=row.question_hash,
        reference=row.reference,
        taxes=msgspec.convert(row.taxes, tuple[values.QuotedTax, ...]),
    )
