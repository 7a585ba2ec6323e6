"""The writer end to end: what was appended becomes rows, once."""

from __future__ import annotations

import pytest

from metering.models import Bucket, Event
from metering.writer import Writer
from tests.workspaces import workspace

from .rows import append, call, tally

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_empty")]


@pytest.fixture
def acme():
    return workspace()


def test_smoke(acme):
    append(acme, [call("a", 2)])
    assert Writer(0).drain() == 1
    assert Event.objects.count() == 1
    assert Bucket.objects.get().sum == 2
    assert tally(acme) == {"received": 1, "accepted": 1}
