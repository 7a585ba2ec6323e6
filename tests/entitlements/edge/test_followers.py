"""Who follows the change feed: noted once there is nothing to come, for a day, and of each tenant alone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.test import override_settings

from aforo.kernel.clock import clock_at, now
from aforo.tenancy.models import ApiKey
from entitlements.edge import layout
from entitlements.edge.followers import followers_of
from tests.api.conftest import Api

from .shops import published, shop, site

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_empty")]


def test_a_key_is_noted_when_it_has_everything():
    acme = shop(used=0)
    other = shop("other", used=0)
    published()
    api = Api(acme.key)
    # With more to come the site is behind still.
    assert api.get("/v1/edge/changes", limit=1).json()["has_more"]
    assert followers_of(acme.tenant) == {}
    before = now()
    assert not api.get("/v1/edge/changes").json()["has_more"]
    ((key, at),) = followers_of(acme.tenant).items()
    assert key == str(ApiKey.objects.of(acme.tenant).get().pk)
    # Whole milliseconds, rounded down.
    assert timedelta(0) <= at - before + timedelta(milliseconds=1) < timedelta(seconds=30)
    assert followers_of(other.tenant) == {}


def test_a_note_is_kept_for_a_day():
    acme = shop(used=0)
    Api(acme.key).get("/v1/edge/changes")
    with clock_at(now() + timedelta(hours=23)):
        assert len(followers_of(acme.tenant)) == 1
    # The hash itself goes a day after the last note; a key in it that was silent for so long is left out before.
    with clock_at(now() + timedelta(hours=25)):
        assert followers_of(acme.tenant) == {}
    assert 86_000 < site().redis.ttl(layout.followers_key("acme_corp/live")) <= 86_400


def test_a_redis_that_is_away_keeps_nobody_from_the_feed():
    acme = shop(used=0)
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        assert Api(acme.key).get("/v1/edge/changes").status_code == 200
    assert followers_of(acme.tenant) == {}
