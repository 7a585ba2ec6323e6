"""The base of every row that belongs to a tenant."""

from __future__ import annotations

from typing import Self

from django.db import models

from .tenant import Tenant


class TenantQuerySet(models.QuerySet):
    def of(self, tenant: Tenant) -> Self:
        """The rows of one tenant: what every selector starts from."""
        return self.filter(tenant=tenant)


class TenantRow(models.Model):
    """A row of exactly one tenant, environment included."""

    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, related_name="+")

    objects = TenantQuerySet.as_manager()

    class Meta:
        abstract = True
