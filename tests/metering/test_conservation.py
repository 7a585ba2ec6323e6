"""Conservation: nothing that was sent is missing, at whatever moment somebody looks."""

from datetime import timedelta

import pytest

from aforo.kernel.clock import clock_at, now
from metering.conservation import conservation_for
from metering.log import entry_insert, shard_of
from metering.packing import submission_pack
from metering.writer import Writer
from tests.metering.rows import append, call, submission
from tests.workspaces import workspace

pytestmark = pytest.mark.django_db


@pytest.fixture
def acme(redis_empty):
    return workspace()


def test_what_waits_in_the_log_is_counted_until_it_is_received(acme):
    append(acme, [call("k1"), call("k1"), call("k2", customer_id="nobody")])
    append(acme, b"{")
    append(workspace("other"), call("k1"))

    before = conservation_for(acme.tenant)
    Writer(0).drain()
    after = conservation_for(acme.tenant)

    assert (before.received, before.waiting) == (0, 4)
    assert (after.received, after.waiting) == (4, 0)
    assert (after.accepted, after.duplicates, after.dead_letters) == (1, 1, 2)
    assert after.is_conserved
    assert str(after) == "received 4 = accepted 1 + duplicates 1 + dead letters 2"


def test_what_waits_beside_the_log_is_counted_too(acme):
    entry_insert(shard_of(acme.tenant.pk), submission_pack(submission(acme, [call("k1"), call("k2")])))

    assert conservation_for(acme.tenant).waiting == 2


def test_days_are_those_of_receipt(acme):
    today = now().date()
    append(acme, call("k1"))
    with clock_at(now() - timedelta(days=2)):
        append(acme, [call("k2"), call("k3")])
    Writer(0).drain()

    def received(**days):
        return conservation_for(acme.tenant, **days).received

    assert received() == 3
    assert received(first_on=today - timedelta(days=1)) == 1
    assert received(last_on=today - timedelta(days=2)) == 2


def test_without_the_log_what_waits_is_not_known(acme, settings):
    settings.LOG_REDIS_URL = "redis://127.0.0.1:1/0"

    assert conservation_for(acme.tenant).waiting is None
