"""Filters that lists of several apps share."""

from __future__ import annotations

from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.contrib.filters.admin import TextFilter


class CustomerFilter(TextFilter):
    """By the customer's external id, in full: a tenant may have more customers than a dropdown holds."""

    title = "customer's external id"
    parameter_name = "customer"

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        named = self.value()
        return queryset.filter(customer__external_id=named.strip()) if named else queryset
