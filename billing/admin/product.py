"""Products: what is sold."""

from __future__ import annotations

from typing import Any

from django.contrib import admin

from aforo.tenancy.admin.rows import TenantAdmin
from aforo.tenancy.models import Tenant

from ..models import Product
from ..services.catalog import product_create, product_update


@admin.register(Product)
class ProductAdmin(TenantAdmin):
    fixed_fields = ("code",)
    list_display = ("code", "name", "description", "tax_category")
    search_fields = ("code", "name")
    fields = (("code", "name"), "description", "tax_category")
    empty_state = "A product is what you sell, such as an API. Its prices stand in rate plans."

    def create(self, tenant: Tenant, **fields: Any) -> Product:
        return product_create(tenant=tenant, **fields)

    def update(self, tenant: Tenant, row: Product, **changes: Any) -> Product:
        return product_update(tenant=tenant, code=row.code, **changes)
