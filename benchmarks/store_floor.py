"""The store's own floor: COPY and the same identity table, and nothing else; one connection, lines made beforehand."""

from __future__ import annotations

import os
import secrets
import time

import psycopg

ROWS = 200_000
BATCH_ROWS = 5_000

_TABLES = """
CREATE TABLE floor_identity (LIKE metering_identity INCLUDING ALL);
CREATE TABLE floor_event (LIKE metering_event INCLUDING ALL);
CREATE TEMP TABLE floor_staging (LIKE metering_event) ON COMMIT DELETE ROWS
"""
_INSERT = """
WITH fresh AS (
    INSERT INTO floor_identity
        (occurred_at, fingerprint, intake_id, identity, tenant_id, context_id, is_timestamp_given)
    SELECT occurred_at, 1, 1, identity, tenant_id, context_id, true FROM floor_staging
    ON CONFLICT DO NOTHING RETURNING tenant_id, identity
)
INSERT INTO floor_event SELECT floor_staging.* FROM floor_staging JOIN fresh USING (tenant_id, identity)
"""


def copy_rate_per_s() -> float:
    """Rows a second of COPY into a staging table, identities and events: no decoding, no enrichment, no usage."""
    columns = "occurred_at, received_at, identity, tenant_id, context_id, is_late, quantity, key, properties"
    with psycopg.connect(os.environ["DATABASE_URL"]) as store:
        store.execute(_TABLES)
        store.commit()
        try:
            batches = [_lines(number) for number in range(ROWS // BATCH_ROWS)]
            started = time.perf_counter()
            for lines in batches:
                with store.cursor().copy(f"COPY floor_staging ({columns}) FROM STDIN") as copy:
                    copy.write(lines)
                store.execute(_INSERT)
                store.commit()
            return ROWS / (time.perf_counter() - started)
        finally:
            store.rollback()
            store.execute("DROP TABLE floor_identity, floor_event")


def _lines(number: int) -> bytes:
    at = "2026-03-15T12:00:00Z"
    properties = '{"model":"gpt-4o","endpoint":"/v1/chat/completions"}'
    return "".join(
        f"{at}\t{at}\t{secrets.token_hex(16)}\t1\t{place}\tf\t1\t{number:08x}-{place:027}\t{properties}\n"
        for place in range(BATCH_ROWS)
    ).encode()
