"""Rows for billing's tests, written straight into the store: who buys what, and what was used."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from aforo.tenancy.models import Customer, Tenant
from aforo.tenancy.services.tenants import tenant_create


def a_tenant(slug: str = "acme_corp") -> Tenant:
    return tenant_create(slug=slug, name=slug.title())


def a_customer(tenant: Tenant, external_id: str = "cust_abc", **fields: object) -> Customer:
    return Customer.objects.create(tenant=tenant, external_id=external_id, name="A customer", **fields)


@contextmanager
def tampering() -> Iterator[None]:
    """Somebody with the database in their hands: triggers do not run."""
    connection.check_constraints()  # what is deferred so far
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield
        finally:
            cursor.execute("SET session_replication_role = origin")
