"""Where a site's Redis keeps what: the keys, and the fields of its hashes.

A customer's keys carry one hash tag, so that a decision touches one slot of a cluster. Numbers are whole and written
without an exponent; a missing one is the empty text, no limit is -1.
"""

from __future__ import annotations

PREFIX = "aforo:v1"

META = f"{PREFIX}:meta"
# Features whose lease wants units, as `want` writes them.
WANTS = f"{PREFIX}:wants"


def tenant_key(tenant: str) -> str:
    return f"{PREFIX}:ten:{tenant}"


def followers_key(tenant: str) -> str:
    """Of the central site alone: the keys that follow the change feed."""
    return f"{PREFIX}:followers:{tenant}"


def api_key_key(public_id: str) -> str:
    return f"{PREFIX}:key:{public_id}"


def customer_key(tenant: str, customer: str) -> str:
    """aforo:v1:cus:{acme_corp/live:cust_abc}"""
    return f"{PREFIX}:cus:{{{tenant}:{customer}}}"


def feature_key(tenant: str, customer: str, feature: str) -> str:
    """aforo:v1:ent:{acme_corp/live:cust_abc}:advanced_ai_search"""
    return f"{PREFIX}:ent:{{{tenant}:{customer}}}:{feature}"


def reservations_key(tenant: str, customer: str, feature: str) -> str:
    """A sorted set of reservation ids by the instant at which they expire."""
    return f"{PREFIX}:rsv:{{{tenant}:{customer}}}:{feature}"


def want(tenant: str, customer: str, feature: str) -> str:
    return f"{tenant}\n{customer}\n{feature}"


def wanted(text: str) -> tuple[str, str, str]:
    """Tenant, customer and feature of a want. A customer's name may hold anything but the feature's may not."""
    tenant, rest = text.split("\n", 1)
    customer, feature = rest.rsplit("\n", 1)
    return tenant, customer, feature
