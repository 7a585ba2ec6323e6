"""The feed: versions in order, a page at a time, of one tenant alone; and sites that it leaves the same, however it comes."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from entitlements.edge import layout
from entitlements.edge.feed import changes_after
from entitlements.models import EdgeRecordRow
from entitlements.records import CustomerRecord, FeatureRecord, KeyRecord, TenantRecord
from tests.api.conftest import Api

from .shops import metered, published, shop, site

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_empty")]


def test_pages_add_up_to_the_snapshot_and_then_only_changes_come():
    acme = shop()
    shop("other", used=0)
    publisher = published()
    api = Api(acme.key)

    whole = api.get("/v1/edge/changes").json()
    # The tenant, its key, its customer, what the customer may use; nothing of anybody else.
    assert sorted(record["type"] for record in whole["records"]) == ["customer", "feature", "key", "tenant"]
    assert {record["tenant"] for record in whole["records"]} == {"acme_corp/live"} == {whole["tenant"]}
    assert whole["age_ms"] < 10_000

    cursor, paged = 0, []
    while True:
        page = api.get("/v1/edge/changes", after=cursor, limit=1).json()
        paged += page["records"]
        cursor = page["cursor"]
        if not page["has_more"]:
            break
    assert (paged, cursor) == (whole["records"], whole["cursor"])

    assert api.get("/v1/edge/changes", after=cursor).json()["records"] == []
    metered(acme, 1)
    publisher.turn()
    (changed,) = api.get("/v1/edge/changes", after=cursor).json()["records"]
    assert (changed["type"], changed["used"], changed["version"] > cursor) == ("feature", 551, True)


@pytest.mark.parametrize("query", [{"after": "-1"}, {"after": "x"}, {"limit": "0"}, {"limit": "1001"}])
def test_what_is_no_cursor_is_refused_with_a_sentence(query):
    api = Api(shop(used=0).key)
    answer = api.get("/v1/edge/changes", **query)
    assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid")


def test_a_record_reads_back_as_it_was_written():
    shop()
    published()
    kinds = {type(record) for record in changes_after(0, 100)}
    assert kinds == {TenantRecord, CustomerRecord, FeatureRecord, KeyRecord}
    versions = [record.version for record in changes_after(0, 100)]
    assert versions == sorted(set(versions))
    assert len(versions) == EdgeRecordRow.objects.count()


VERSIONS = [
    FeatureRecord(
        tenant="acme_corp/live",
        customer="cust_abc",
        feature="search",
        version=version,
        as_of_ms=version,
        kind="metered",
        limit=1_000,
        used=10 * version,
        is_removed=version == 3,
    )
    for version in range(1, 7)
]


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.lists(st.sampled_from(VERSIONS), min_size=1, max_size=12))
def test_an_older_record_never_replaces_a_newer_one(order):
    store = site()
    store.redis.flushdb()
    highest = 0
    for record in order:
        # Late, repeated and shuffled: the highest version so far is what stands.
        assert store.apply([record]) == int(record.version > highest)
        highest = max(highest, record.version)
        key = layout.feature_key("acme_corp/live", "cust_abc", "search")
        assert store.versions([key]) == [highest]
        assert int(store.redis.hget(key, "u")) == 10 * highest
