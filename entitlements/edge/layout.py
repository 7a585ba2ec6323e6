"""Where a site's Redis keeps what: the keys, and the fields of its hashes.

A customer's keys carry one hash tag, so that a decision touches one slot of a cluster. Numbers are whole and written
without an exponent; a missing one is the empty text, no limit is -1.
"""

from __future__ import annotations

import msgspec

from ..records import CustomerRecord, EdgeRecord, FeatureRecord, TenantRecord

PREFIX = "aforo:v1"

META = f"{PREFIX}:meta"
# Features whose lease wants units, as `want` writes them.
WANTS = f"{PREFIX}:wants"

_json = msgspec.json.Encoder()


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


def record_key(record: EdgeRecord) -> str:
    """Where a record lies."""
    if isinstance(record, FeatureRecord):
        return feature_key(record.tenant, record.customer, record.feature)
    if isinstance(record, CustomerRecord):
        return customer_key(record.tenant, record.customer)
    if isinstance(record, TenantRecord):
        return tenant_key(record.tenant)
    return api_key_key(record.public_id)


def record_fields(record: EdgeRecord) -> dict[str, str | int]:
    """What lies there, beside the version `ver`. What no script reads is one document."""
    if isinstance(record, FeatureRecord):
        return _feature_fields(record)
    if isinstance(record, CustomerRecord):
        return _customer_fields(record)
    return {"document": _json.encode(record).decode()}


def _customer_fields(record: CustomerRecord) -> dict[str, str | int]:
    return {
        "at": record.as_of_ms,
        "ac": int(record.is_active),
        "pl": record.plan,
        "w": int(record.is_wallet_empty),
        "ml": record.margin_level,
        "ma": record.margin_action,
        "mp": record.throttle_percent,
        "mr": record.retry_after_s,
        "md": _json.encode(record.downgrades).decode() if record.downgrades else "",
        "rm": int(record.is_removed),
    }


def _feature_fields(record: FeatureRecord) -> dict[str, str | int]:
    return {
        "at": record.as_of_ms,
        "k": record.kind,
        "val": record.value or "",
        "lim": -1 if record.limit is None else record.limit,
        "ty": record.limit_type,
        "u": record.used,
        "sc": record.places,
        "pl": record.plan,
        "ws": cell(record.window_start_ms),
        "we": cell(record.window_end_ms),
        "nwe": cell(record.next_window_end_ms),
        "nlim": -1 if record.next_limit is None else record.next_limit,
        "rm": int(record.is_removed),
    }


def cell(number: int | None) -> str | int:
    """As a field has it."""
    return "" if number is None else number
