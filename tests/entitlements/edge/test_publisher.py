"""The publisher: what changed is at the site after one turn; what was lost is found again."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection

from aforo.kernel.clock import clock_at, now
from aforo.outbox.models import Fact
from aforo.tenancy.models import ApiKey, Customer
from aforo.tenancy.services.api_keys import api_key_create, api_key_revoke
from aforo.tenancy.services.customers import customer_update
from entitlements.decision import Ask, Reason
from entitlements.edge import layout
from entitlements.edge.publisher import Publisher
from entitlements.models import EdgeRecordRow, Entitlement, Feature, PublisherState
from entitlements.records import milliseconds
from entitlements.services.entitlements import entitlement_create, entitlement_edit, entitlement_remove
from entitlements.services.features import edge_policy_set
from entitlements.services.touched import touched
from metering.batch import store
from metering.models import Event
from metering.services.corrections import event_void
from metering.services.meters import meter_update
from tests.metering.rows import call, submission
from tests.workspaces import customer, meter

from .shops import metered, published, shop, site

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_empty")]

TENANT = "acme_corp/live"


def asked(name: str = "cust_abc", feature: str = "advanced_ai_search"):
    # A client of its own, which has not asked before, and so knows the site as it is.
    return site().decide(TENANT, name, feature, Ask(1, milliseconds(now()))).decision


def remaining() -> int:
    return asked().remaining


def test_the_briefs_fixture_is_published_and_usage_follows_after_one_turn():
    acme = shop()
    publisher = published()
    # 1,000 a month, 550 of them used.
    assert (asked().is_allowed, asked().limit, remaining()) == (True, 1_000, 450)
    assert site().meta().is_complete

    metered(acme, 1)
    publisher.turn()
    assert remaining() == 449


def test_a_corrected_event_is_no_usage_any_more():
    acme = shop(used=0)
    metered(acme, 1)
    publisher = published()
    assert remaining() == 999
    event_void(tenant=acme.tenant, key=Event.objects.get().key, reason="twice", actor="tests")
    publisher.turn()
    assert remaining() == 1_000


def test_what_is_unchanged_keeps_its_version():
    shop()
    publisher = published()
    before = list(EdgeRecordRow.objects.order_by("pk").values_list("version", "as_of"))
    publisher.publish()
    assert list(EdgeRecordRow.objects.order_by("pk").values_list("version", "as_of")) == before


def test_a_customer_that_is_new_or_gone_is_known_or_unknown():
    acme = shop()
    publisher = published()
    assert asked("cust_new").reason == Reason.UNKNOWN_CUSTOMER

    customer(acme.tenant, "cust_new")
    publisher.turn()
    assert asked("cust_new").reason == Reason.NOT_ENTITLED

    Customer.objects.filter(external_id="cust_new").delete()
    publisher.publish()
    assert asked("cust_new").reason == Reason.UNKNOWN_CUSTOMER


def test_a_feature_that_is_taken_away_and_one_that_nobody_has_heard_of():
    acme = shop()
    publisher = published()
    assert asked(feature="teleport").reason == Reason.UNKNOWN_FEATURE

    entitlement_remove(tenant=acme.tenant, actor="ada", entitlement_id=Entitlement.objects.get().pk)
    publisher.turn()
    assert asked().reason == Reason.NOT_ENTITLED
    # Given again, the same record says so under a higher version.
    entitlement_create(
        tenant=acme.tenant,
        actor="ada",
        feature="advanced_ai_search",
        layer="CUSTOMER",
        owner="cust_abc",
        limit=Decimal(5),
    )
    publisher.turn()
    assert (asked().reason, asked().limit) == (Reason.QUOTA_EXCEEDED, 5)


def test_keys_follow_in_one_turn_and_their_use_tells_nobody_anything():
    acme = shop(used=0)
    publisher = published()
    key, _ = api_key_create(tenant=acme.tenant, name="gateway", scopes=["ingest"])
    publisher.turn()
    assert site().api_key(key.public_id).scopes == ("ingest",)

    touched_at = ApiKey.objects.get(pk=key.pk).touched_at
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=now())
    assert ApiKey.objects.get(pk=key.pk).touched_at == touched_at

    api_key_revoke(tenant=acme.tenant, key_id=key.pk)
    publisher.turn()
    assert site().api_key(key.public_id).is_revoked

    ApiKey.objects.filter(pk=key.pk).delete()
    publisher.publish()
    assert site().api_key(key.public_id).is_revoked


def test_a_policy_follows_in_one_turn():
    acme = shop(used=0)
    publisher = published()
    edge_policy_set(tenant=acme.tenant, actor="ada", on_unknown="deny", max_stale_s=60)
    publisher.turn()
    assert site().site(TENANT, "advanced_ai_search", milliseconds(now())).on_unknown == "deny"


def test_a_rule_begins_and_a_window_turns_without_anybody_telling():
    acme = shop()
    tomorrow = now() + timedelta(days=1)
    entitlement_create(
        tenant=acme.tenant,
        actor="ada",
        feature="advanced_ai_search",
        layer="CUSTOMER",
        owner="cust_abc",
        limit=Decimal(2_000),
        starts_at=tomorrow,
    )
    publisher = published()
    assert asked().limit == 1_000
    with clock_at(tomorrow + timedelta(seconds=1)):
        publisher.turn()
        assert asked().limit == 2_000
    with clock_at(now() + timedelta(days=40)):
        publisher.turn()
        assert asked().used == 0
        assert EdgeRecordRow.objects.filter(kind="feature", body__contains='"used":550').count() == 0


def test_an_emptied_site_is_whole_again_after_one_turn():
    shop()
    publisher = published()
    site().redis.flushdb()
    assert asked().is_stale
    publisher.turn()
    assert (remaining(), asked().is_stale, site().meta().is_complete) == (450, False, True)


def test_what_the_site_lost_and_what_nobody_told_are_found_by_the_repair():
    shop()
    publisher = published()
    site().redis.delete(layout.customer_key(TENANT, "cust_abc"))
    # Behind everybody's back: 1,000 become 900.
    Entitlement.objects.update(limit=900)
    publisher.turn()
    assert asked().reason == Reason.UNKNOWN_CUSTOMER

    publisher.repair()
    publisher.turn()
    assert remaining() == 350
    assert PublisherState.objects.get().repaired == 2


def test_a_site_that_was_never_filled_is_not_called_whole_before_everything_is_made(monkeypatch):
    acme = shop(used=0)
    for number in range(5):
        customer(acme.tenant, f"cust_{number}")
    monkeypatch.setattr("entitlements.edge.publisher.CHUNK", 2)
    monkeypatch.setattr("entitlements.edge.publisher.WALK_S", 0.0)
    publisher = Publisher()
    publisher.turn()
    assert not site().meta().is_complete
    publisher.publish()
    assert site().meta().is_complete


def test_facts_are_coalesced_and_gone():
    acme = shop(used=0)
    publisher = published()
    for _ in range(3):
        metered(acme, 1)
    assert Fact.objects.filter(topic="entitlements.touched").count() == 3
    publisher.turn()
    assert (Fact.objects.count(), remaining()) == (0, 997)


def test_usage_that_no_feature_counts_writes_no_fact():
    acme = shop(used=0)
    meter(acme.tenant, "llm.tokens", "SUM")
    published()
    metered(acme, 2, metric="llm.tokens")
    assert Fact.objects.count() == 0


def test_another_time_zone_and_another_meter_are_at_the_site_after_one_turn():
    acme = shop(used=0)
    entitlement_edit(
        tenant=acme.tenant,
        actor="ada",
        entitlement_id=Entitlement.objects.get().pk,
        window="CALENDAR",
        window_unit="day",
    )
    publisher = published()
    ends = asked().window_end_ms
    customer_update(tenant=acme.tenant, external_id="cust_abc", timezone="Asia/Kolkata")
    publisher.turn()
    # Midnight in Kolkata, 5:30 before UTC, is sooner than that in UTC or a day later.
    assert asked().window_end_ms - ends in (-19_800_000, 66_600_000)

    store([submission(acme, [call("four", 4)])])
    publisher.turn()
    assert asked().used == 1
    meter_update(tenant=acme.tenant, key="api.call", aggregation="SUM")
    publisher.turn()
    assert asked().used == 4


def test_a_change_does_not_wait_for_the_repair_that_is_under_way(monkeypatch):
    acme = shop(used=0)
    for number in range(6):
        customer(acme.tenant, f"cust_{number}")
    publisher = published()
    monkeypatch.setattr("entitlements.edge.publisher.CHUNK", 2)
    monkeypatch.setattr("entitlements.edge.publisher.WALK_S", 0.0)
    repairs = PublisherState.objects.get().repairs
    publisher.repair()
    # Seven customers, two a turn, are four turns; the tenant's test environment is one more.
    for used in (1, 2, 3):
        metered(acme, 1)
        publisher.turn()
        assert (asked().used, PublisherState.objects.get().repairs) == (used, repairs)
    for _ in range(2):
        publisher.turn()
    assert PublisherState.objects.get().repairs == repairs + 1


def test_a_record_that_says_nothing_new_is_not_even_touched():
    shop()
    publisher = published()
    where = "SELECT ctid, xmin, xmax FROM entitlements_edgerecordrow ORDER BY id"
    with connection.cursor() as cursor:
        before = cursor.execute(where).fetchall()
        publisher.publish()
        assert cursor.execute(where).fetchall() == before


def test_a_record_that_somebody_changed_in_the_store_is_made_right_by_the_repair():
    shop()
    publisher = published()
    EdgeRecordRow.objects.filter(kind="feature").update(body='{"type":"feature"}')
    publisher.publish()
    assert remaining() == 450
    assert EdgeRecordRow.objects.filter(kind="feature", body__contains='"used":550').exists()


def test_changes_that_are_too_many_for_a_turn_are_told_of_again_and_wait_since_then(monkeypatch):
    acme = shop(used=0)
    names = [f"cust_{number}" for number in range(5)]
    ids = [customer(acme.tenant, name).pk for name in names]
    publisher = published()
    rules = [
        Entitlement(
            tenant=acme.tenant, feature=Feature.objects.get(), layer="CUSTOMER", owner=name, limit=Decimal(7)
        )
        for name in names
    ]
    Entitlement.objects.bulk_create(rules)
    touched(tenant=acme.tenant, customer_ids=ids)
    since = Fact.objects.get().created_at
    monkeypatch.setattr("entitlements.edge.publisher.CHUNK", 2)
    monkeypatch.setattr("entitlements.edge.publisher.TOLD_S", 0.0)
    for known in (2, 4):
        publisher.turn()
        assert [asked(name).limit for name in names] == [7] * known + [None] * (5 - known)
        fact = Fact.objects.get()
        assert (fact.body, fact.created_at) == ({"customer_ids": ids[known:]}, since)
    publisher.turn()
    assert (asked("cust_4").limit, Fact.objects.count()) == (7, 0)


def test_a_customer_of_whom_no_record_can_be_made_holds_nobody_up(caplog):
    acme = shop(used=0)
    customer(acme.tenant, "cust_b")
    # Of a meter whose conversion nobody can read, as a row changed by hand may have it.
    broken = meter(acme.tenant, "broken", conversion={"operation": "halve"})
    Feature.objects.create(tenant=acme.tenant, code="broken", name="Broken", kind="METERED", meter=broken)
    entitlement_create(
        tenant=acme.tenant, actor="ada", feature="broken", layer="CUSTOMER", owner="cust_b", limit=Decimal(5)
    )
    published()
    assert remaining() == 1_000
    assert "cannot be published" in caplog.text
