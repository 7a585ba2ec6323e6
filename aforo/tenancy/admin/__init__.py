"""The admin's pages on tenants, customers, keys and the people who sign in; and the base of every tenant's pages."""

from . import api_key, customer, tenant, user

__all__ = ["api_key", "customer", "tenant", "user"]
