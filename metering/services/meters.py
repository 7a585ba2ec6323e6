"""Meters: made, changed, and frozen once a price leans on them."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.tenancy.models import Tenant
from aforo.tenancy.selectors.rows import found
from aforo.tenancy.services.rows import row_save

from ..models import MeterRow
from ..selectors.meters import meters_for


def meter_create(*, tenant: Tenant, key: str, **terms: Any) -> MeterRow:
    """Make a meter. terms: fields of MeterRow.

    Raises Problem already_exists, or input_invalid with every field that is wrong.
    """
    row = MeterRow(tenant=tenant, key=key, **terms)
    row_save(row)
    return row


@transaction.atomic
def meter_update(*, tenant: Tenant, key: str, **terms: Any) -> MeterRow:
    """Change a meter; its key stays. Locks the meter.

    Events stored before keep the quantities they were counted with: a change is for events to come.
    Raises Problem not_found, input_invalid, or state_conflict for a frozen term.
    """
    row = found(meters_for(tenant).select_for_update(), key=key)
    frozen = [name for name in row.FROZEN_ONCE_PRICED if name in terms and terms[name] != getattr(row, name)]
    if row.frozen_at is not None and frozen:
        raise Problem(
            "state_conflict",
            f"{' and '.join(frozen)} of {key} cannot change: a published charge prices it. Make another meter.",
            frozen=frozen,
        )
    for name, value in terms.items():
        setattr(row, name, value)
    row_save(row)
    return row


def meter_freeze(*, tenant: Tenant, meter_id: int) -> None:
    """Hold the meter's aggregation and value from now on; called when a charge that uses it is published."""
    meters_for(tenant).filter(pk=meter_id, frozen_at=None).update(frozen_at=now())
