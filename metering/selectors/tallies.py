"""The door to the tallies: what a tenant sent on each UTC day."""

from __future__ import annotations

from datetime import date

from django.db.models import QuerySet

from aforo.tenancy.models import Tenant

from ..models import Tally


def tallies_for(tenant: Tenant, *, first_on: date) -> QuerySet[Tally]:
    """The days from first_on on, of those on which anything was received."""
    return Tally.objects.filter(tenant=tenant, day__gte=first_on).order_by("day")
