"""Conservation: what was received, and what became of it, counted from what is stored and never from answers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from django.db.models import Sum

from aforo.tenancy.models import Tenant

from .models import Tally


@dataclass(frozen=True, slots=True)
class Conservation:
    """Events received on some days, and where they are. late: those of the accepted that were older than 24 hours.

    A body that could not be read is one received event, and one dead letter.
    """

    received: int
    accepted: int
    duplicates: int
    dead_letters: int
    late: int

    @property
    def is_conserved(self) -> bool:
        return self.received == self.accepted + self.duplicates + self.dead_letters

    def __str__(self) -> str:
        """received 5 = accepted 3 + duplicates 1 + dead letters 1"""
        sign = "=" if self.is_conserved else "≠"
        return (
            f"received {self.received:,} {sign} accepted {self.accepted:,} + duplicates {self.duplicates:,}"
            f" + dead letters {self.dead_letters:,}"
        )


def conservation_for(
    tenant: Tenant, *, first_on: date | None = None, last_on: date | None = None
) -> Conservation:
    """The tally of a tenant over UTC days of receipt, both included; without bounds over all time."""
    days = Tally.objects.filter(tenant=tenant)
    if first_on is not None:
        days = days.filter(day__gte=first_on)
    if last_on is not None:
        days = days.filter(day__lte=last_on)
    names = ("received", "accepted", "duplicates", "dead_letters", "late")
    sums = days.aggregate(**{name: Sum(name, default=0) for name in names})
    return Conservation(**{name: int(sums[name]) for name in names})
