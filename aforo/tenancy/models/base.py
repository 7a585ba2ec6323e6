"""The base of every row that belongs to a tenant."""

from __future__ import annotations

from typing import Self

from django.core.exceptions import ValidationError
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

    def clean(self) -> None:
        """Refuse to refer to another tenant's row. Raises ValidationError naming the field."""
        super().clean()
        for field in self._meta.concrete_fields:
            if not (field.is_relation and issubclass(field.related_model, TenantRow)):
                continue
            # A number that names no row is refused by the field itself.
            referred = field.related_model._base_manager.filter(pk=getattr(self, field.attname)).first()
            if referred is not None and referred.tenant_id != self.tenant_id:
                raise ValidationError({field.name: f"No such {field.related_model._meta.verbose_name}."})
