"""The metering profile: what is held, and what is an alarm."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from aforo.tenancy.models import Tenant
from aforo.tenancy.services.rows import row_save

from ..models import MeteringProfile
from ..selectors.profiles import metering_profile_for


@transaction.atomic
def metering_profile_set(*, tenant: Tenant, **fields: Any) -> MeteringProfile:
    """Set holds_unknown_metrics, holds_unknown_customers, alert_letters_min, alert_share_percent.

    Counts for events received from now on; letters that are held already stay so. Raises Problem input_invalid.
    """
    profile = metering_profile_for(tenant)
    for field, value in fields.items():
        setattr(profile, field, value)
    row_save(profile)
    return profile
