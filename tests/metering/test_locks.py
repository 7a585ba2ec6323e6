"""New events and corrections of one tenant never meet; those of two tenants do not wait for each other."""

from __future__ import annotations

import pytest
from django.db import OperationalError, connection, transaction

from metering.locks import LOCK, correction_locked, new_events_locked


@pytest.mark.django_db(transaction=True)
def test_a_correction_waits_for_new_events_of_its_tenant_alone():
    # A second session, as psycopg sees it.
    other = connection.copy()
    try:
        with transaction.atomic():
            new_events_locked({7, 3})
            with other.cursor() as cursor:
                for tenant_id, is_free in ((3, False), (5, True), (7, False)):
                    cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", [LOCK, tenant_id])
                    assert cursor.fetchone()[0] is is_free, tenant_id
                cursor.execute("SELECT pg_try_advisory_lock_shared(%s, 7)", [LOCK])
                assert cursor.fetchone()[0] is True
                cursor.execute("SELECT pg_advisory_unlock_all()")
        with transaction.atomic(), other.cursor() as cursor:
            correction_locked(3)
            cursor.execute("SET lock_timeout = '50ms'")
            with pytest.raises(OperationalError):
                cursor.execute("SELECT pg_advisory_lock_shared(%s, 3)", [LOCK])
    finally:
        other.close()
