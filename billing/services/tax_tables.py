"""Importing a shipped tax table: what a tenant lacks is added, and nothing that it has is changed."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import transaction
from django.db.models import Q

from aforo.kernel.decimals import trimmed
from aforo.tenancy.models import Tenant

from ..models import TaxRate
from ..selectors.tax import tax_rates_for
from ..tax_tables import ShippedRate, TaxTable, tax_table
from .tax import tax_rate_create


@dataclass(frozen=True, slots=True)
class Imported:
    """added, kept: rates that are new, and that the tenant had. differing: a sentence for each where it has another one."""

    table: TaxTable
    added: int
    kept: int
    differing: tuple[str, ...]


@transaction.atomic
def tax_table_import(*, tenant: Tenant, table: str, is_inclusive: bool = False) -> Imported:
    """Add the rates of a shipped table (one of tax_tables.NAMES) for the days on which the tenant has none of the name and jurisdiction.

    is_inclusive: of the added ones; prices contain the tax. Importing again adds what a later release knows.

    A tenant with DE 16 % from 2025 to 2027 keeps it; the answer says that the table has 19 %.
    """
    shipped = tax_table(table)
    added, kept, differing = 0, 0, []
    for rate in shipped.rates:
        theirs = _meeting(tenant, shipped.name, rate)
        if not theirs:
            tax_rate_create(
                tenant=tenant,
                jurisdiction=rate.jurisdiction,
                name=shipped.name,
                percent=rate.percent,
                starts_on=rate.starts_on,
                ends_on=rate.ends_on,
                is_inclusive=is_inclusive,
            )
            added += 1
        elif any(row.percent != rate.percent for row in theirs):
            yours = ", ".join(f"{trimmed(row.percent)} % from {row.starts_on}" for row in theirs)
            differing.append(
                f"{rate.jurisdiction}: {yours} is yours, {trimmed(rate.percent)} % from {rate.starts_on} the table's."
            )
        else:
            kept += 1
    return Imported(shipped, added, kept, tuple(differing))


def _meeting(tenant: Tenant, name: str, rate: ShippedRate) -> list[TaxRate]:
    """The tenant's general rates of the name and jurisdiction that are in force on some of the rate's days."""
    rows = tax_rates_for(tenant).filter(name=name, jurisdiction=rate.jurisdiction, tax_category="")
    rows = rows.filter(Q(ends_on=None) | Q(ends_on__gt=rate.starts_on))
    if rate.ends_on is not None:
        rows = rows.filter(starts_on__lt=rate.ends_on)
    return list(rows.order_by("starts_on"))
