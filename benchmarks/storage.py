"""bytes_per_event: what the quick start's event takes in the store, with its identity, its indexes and its share of usage."""

from __future__ import annotations

import json
import uuid

from . import load
from .stack import Stack
from .workload import BATCH

EVENTS = 100_000

_SIZE = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class
WHERE relkind = 'r' AND (relname = 'metering_identity' OR relname LIKE 'metering_event_2%'
    OR relname IN ('metering_bucket', 'metering_usagecontext', 'metering_tally'))
"""


def bytes_per_event(stack: Stack, key: str) -> float:
    """Send the quick start's event with 36-byte keys, wait until all are stored, and divide by what the tables grew."""
    from django.db import connection

    def size() -> int:
        with connection.cursor() as cursor:
            cursor.execute("VACUUM metering_bucket")
            cursor.execute("VACUUM metering_tally")
            cursor.execute(_SIZE)
            return int(cursor.fetchone()[0])

    before = size()
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    for _ in range(EVENTS // BATCH):
        events = [
            {
                "event": "api.call",
                "endpoint": "/v1/search",
                "customer_id": "cust_00001",
                "id": str(uuid.uuid4()),
            }
            for _ in range(BATCH)
        ]
        load.once(stack.port, load.post("/v1/events", json.dumps(events).encode(), headers))
    stack.drained()
    return (size() - before) / EVENTS
