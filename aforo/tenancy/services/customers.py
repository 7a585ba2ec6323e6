"""Customers: made and changed; a chain of parents never closes into a ring."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from aforo.kernel.errors import Problem

from ..models import Customer, Tenant
from ..selectors.tenants import customer_for
from .rows import invalid, row_save


@transaction.atomic
def customer_create(
    *,
    tenant: Tenant,
    external_id: str,
    name: str = "",
    parent: str | None = None,
    **fields: Any,
) -> Customer:
    """Make a customer; zone and currency are the tenant's unless given, the name is its external_id.

    external_id: 1 to 255 printable characters, as usage events carry it. parent: the external_id of the customer
    that pays. fields: email, currency, timezone, country, tax_jurisdiction, vat_number, vat_confirmed_on, is_tax_exempt.
    Raises Problem input_invalid, already_exists, or not_found for the parent.
    """
    if not external_id.isprintable():
        raise invalid("external_id", "has characters that cannot be printed.")
    customer = Customer(
        tenant=tenant,
        external_id=external_id,
        name=name or external_id[:200],
        parent=customer_for(tenant, parent) if parent else None,
        **{"timezone": tenant.timezone, "currency": tenant.currency, **fields},
    )
    row_save(customer)
    return customer


@transaction.atomic
def customer_update(*, tenant: Tenant, external_id: str, **changes: Any) -> Customer:
    """Change what is given: name, parent, and the fields of `customer_create`.

    parent: an external_id, or None for no parent. Locks the tenant's row while a parent changes.
    Another VAT number is not confirmed until somebody says so again.
    Raises Problem input_invalid, not_found, or state_conflict for a parent below the customer itself and for a zone
    or currency that subscriptions already bill by.
    """
    customer = customer_for(tenant, external_id)
    if "parent" in changes:
        # Two changes at once could each be fine and together close a ring, so they wait for each other.
        Tenant.objects.select_for_update(no_key=True).get(pk=tenant.pk)
        name = changes.pop("parent")
        customer.parent = customer_for(tenant, name) if name is not None else None
        _ring_check(customer)
    if changes.get("vat_number", customer.vat_number) != customer.vat_number:
        changes.setdefault("vat_confirmed_on", None)
    for field, value in changes.items():
        setattr(customer, field, value)
    row_save(customer)
    return customer


def _ring_check(customer: Customer) -> None:
    chain = [customer.external_id]
    above = customer.parent
    while above is not None:
        chain.append(above.external_id)
        if above.pk == customer.pk:
            raise Problem("state_conflict", f"The parents would form a ring: {' → '.join(chain)}.")
        above = above.parent
