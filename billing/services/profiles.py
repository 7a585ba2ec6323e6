"""The billing profile: how a tenant's money is rounded, numbered, named and taxed."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import row_save

from ..models import BillingProfile
from ..selectors.profiles import billing_profile_for


@transaction.atomic
def billing_profile_set(*, tenant: Tenant, **fields: Any) -> BillingProfile:
    """Set legal_name, legal_address, country, vat_number, number_prefix, rounding ("half_up" or "half_even").

    Counts for invoices drafted from now on; issued ones keep theirs. Raises Problem input_invalid.
    """
    profile = billing_profile_for(tenant)
    for field, value in fields.items():
        setattr(profile, field, value)
    row_save(profile)
    return profile
