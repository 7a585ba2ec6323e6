"""Fixtures for all tests. The servers behind them come from tests/plugin.py."""

import os

import pytest
from django.db import connection
from hypothesis import settings

from aforo.runtime.valkey import command
from metering.partitions import months_present, partition_name

# A property is no timed test: on a busy machine one example may take long.
settings.register_profile("aforo", deadline=None)
settings.load_profile("aforo")


@pytest.fixture
def redis_empty():
    """This test process's databases in both Redis servers, emptied before the test."""
    command(os.environ["REDIS_URL"], "FLUSHDB")
    command(os.environ["TEST_LOG_ADMIN_URL"], "FLUSHDB")


@pytest.fixture(autouse=True)
def events_emptied(request, django_db_blocker):
    """After a test that commits, Django empties only the tables it made itself; these are made in SQL."""
    yield
    marker = request.node.get_closest_marker("django_db")
    is_marked = marker is not None and marker.kwargs.get("transaction")
    # These two commit without a mark.
    if is_marked or {"transactional_db", "live_server"} & set(request.fixturenames):
        with django_db_blocker.unblock(), connection.cursor() as cursor:
            cursor.execute("TRUNCATE metering_event, metering_identity, metering_bucket")
            # A month that one test has made is not there for the next.
            for month in months_present():
                cursor.execute(f"DROP TABLE {partition_name(month)}")
