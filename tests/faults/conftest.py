"""What the fault tests share."""

import pytest
from django.db import connection


@pytest.fixture
def unmanaged_empty():
    """The tables that Django does not manage, and so does not empty, are empty after a test."""
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE metering_event, metering_identity, metering_bucket")
