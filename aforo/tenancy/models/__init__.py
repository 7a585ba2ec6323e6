"""Who uses Aforo (tenants and their keys) and whom they bill (customers)."""

from .api_key import SCOPES, ApiKey
from .base import TenantRow
from .customer import Customer
from .tenant import Environment, Tenant

__all__ = ["SCOPES", "ApiKey", "Customer", "Environment", "Tenant", "TenantRow"]
