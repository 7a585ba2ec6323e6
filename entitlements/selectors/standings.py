"""What billing last said of customers."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

from ..models import Standing


def customers_told_since(at: datetime) -> QuerySet[Standing, int]:
    """The rows of the customers, of every tenant, whose standing was written at the instant or later."""
    return Standing.objects.filter(told_at__gte=at).values_list("customer", flat=True)
