"""Fixtures for all tests. The servers behind them come from tests/plugin.py."""

import os

import pytest

from aforo.runtime.valkey import command


@pytest.fixture
def redis_empty():
    """This test process's databases in both Redis servers, emptied before the test."""
    command(os.environ["REDIS_URL"], "FLUSHDB")
    command(os.environ["TEST_LOG_ADMIN_URL"], "FLUSHDB")
