"""The billing profile: how a tenant's money is rounded, numbered, named and taxed."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from aforo.tenancy.models import Tenant
from aforo.tenancy.seal import seal
from aforo.tenancy.services.rows import invalid, row_save
from metering.signatures import standard_key

from ..models import BillingProfile
from ..selectors.profiles import billing_profile_for


@transaction.atomic
def billing_profile_set(
    *, tenant: Tenant, tax_engine_secret: str | None = None, **fields: Any
) -> BillingProfile:
    """Set legal_name, legal_address, country, vat_number, number_prefix, rounding ("half_up" or "half_even"), tax_engine
    ("http", or empty for the tax table), tax_engine_url, grace_hours, pays_across_currencies.

    tax_engine_secret: whsec_…, to sign questions with; empty to send them unsigned, None to leave it as it is.
    Counts for invoices drafted from now on; issued ones keep theirs. Raises Problem input_invalid.
    """
    profile = billing_profile_for(tenant)
    for field, value in fields.items():
        setattr(profile, field, value)
    if tax_engine_secret is not None:
        profile.sealed_tax_engine_secret = _sealed(tax_engine_secret)
    row_save(profile)
    return profile


def _sealed(secret: str) -> bytes | None:
    if not secret:
        return None
    try:
        standard_key(secret)
    except ValueError as error:
        raise invalid("tax_engine_secret", f"{error}.") from None
    return seal(secret)
