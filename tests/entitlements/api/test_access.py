"""`POST /v1/canAccess` and its kin, on the hot path and by the views: the same answers, and no PostgreSQL in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler
from redis import Redis

from aforo.hot import Hot
from aforo.kernel.clock import clock_at, now
from aforo.tenancy.services.api_keys import api_key_create, secret_hash
from entitlements.edge import central
from entitlements.edge.store import EdgeStore
from entitlements.records import FeatureRecord, KeyRecord, LeaseRecord, TenantRecord
from tests.entitlements.test_decision import CUSTOMER, FEATURE
from tests.http.test_hot import connection_kept, sent
from tests.workspaces import Workspace, workspace

__all__ = ["connection_kept"]

TENANT = "acme_corp/live"
BRIEF = {"tenantId": "cust_abc", "featureKey": "advanced_ai_search"}


@pytest.fixture(params=["hot", "views"])
def application(request) -> Callable[..., Any]:
    return Hot(WSGIHandler()) if request.param == "hot" else WSGIHandler()


@pytest.fixture
def shop(db, redis_empty) -> Workspace:
    central._store.cache_clear()
    central._keys.cache_clear()
    return workspace()


@pytest.fixture
def store(shop: Workspace) -> EdgeStore:
    """A complete site with the brief's customer: 550 of 1,000 used."""
    store = central.central_store()
    epoch = store.epoch_ensure()
    at_ms = int(now().timestamp() * 1000)
    places = {"storage": 2}
    kinds: Any = {"advanced_ai_search": "metered", "storage": "metered", "seats": "static", "sso": "boolean"}
    feature = window_from(FEATURE, at_ms)
    store.apply(
        [
            TenantRecord(tenant=TENANT, version=1, features=kinds, places=places),
            CUSTOMER,
            feature,
            msgspec.structs.replace(feature, feature="storage", places=2, limit=1_000, used=550),
            msgspec.structs.replace(feature, feature="seats", kind="static", value="5", limit=None, used=0),
            msgspec.structs.replace(feature, feature="sso", kind="boolean", limit=None, used=0),
            key_record(shop.key),
        ]
    )
    lease = LeaseRecord(lease=3, edge="central", epoch=epoch, granted=10, settled=0)
    store.lease_apply(TENANT, "cust_abc", "advanced_ai_search", feature.window_start_ms, lease)
    assert store.synced(epoch=epoch, at_ms=at_ms, is_complete=True)
    return store


def window_from(feature: FeatureRecord, at_ms: int) -> FeatureRecord:
    return msgspec.structs.replace(
        feature, window_start_ms=at_ms - 1_000, window_end_ms=at_ms + 3_600_000, as_of_ms=at_ms
    )


def key_record(text: str, **changes: Any) -> KeyRecord:
    rest = text.rpartition("_")[2]
    fields: dict[str, Any] = {
        "public_id": rest[:8],
        "version": 1,
        "secret_hash": secret_hash(rest[8:]),
        "tenant": TENANT,
        "key_id": "key",
        "scopes": ("ingest",),
    }
    return KeyRecord(**{**fields, **changes})


def asked(application, shop, document: Any = None, path: str = "/v1/canAccess", **environ: str):
    body = document if isinstance(document, bytes) else json.dumps(document or BRIEF).encode()
    headers = {"HTTP_AUTHORIZATION": f"Bearer {shop.key}", **environ}
    return sent(application, body, path, **headers)


@pytest.mark.promise("P89")
def test_the_briefs_call(application, shop, store):
    status, headers, document = asked(application, shop)
    assert status == 200
    assert {name: document[name] for name in ("allowed", "quota", "remaining")} == {
        "allowed": True, "quota": 1_000, "remaining": 450,
    }  # fmt: skip
    assert document["used"] == 550
    assert (document["reason"], document["plan"], document["limit_type"]) == ("OK", "pro", "hard")
    assert (document["stale"], document["mode"], document["bound"]) == (False, "read", None)
    assert (headers["X-Aforo-Limit"], headers["X-Aforo-Remaining"]) == ("1000", "450")
    assert 0 < int(headers["X-Aforo-Reset"]) <= 3_600
    # It takes nothing.
    assert asked(application, shop)[2]["remaining"] == 450


@pytest.mark.promise("P89")
def test_over_quota(application, shop, store):
    status, headers, document = asked(application, shop, {**BRIEF, "quantity": 451})
    assert (status, document["allowed"], document["reason"]) == (200, False, "QUOTA_EXCEEDED")
    assert document["retry_after_s"] == int(headers["Retry-After"])
    store.apply(
        [msgspec.structs.replace(window_from(FEATURE, int(now().timestamp() * 1000)), version=9, used=1_000)]
    )
    document = asked(application, shop)[2]
    assert (document["allowed"], document["remaining"]) == (False, 0)


def test_a_reservation_is_taken_released_and_gone(application, shop, store):
    document = asked(application, shop, {**BRIEF, "quantity": 4, "reserve": True})[2]
    assert (document["remaining"], document["mode"], document["bound"]) == (446, "leased", 0)
    id = document["reservation"]["id"]
    assert document["reservation"]["units"] == 4
    path = f"/v1/reservations/{id}"
    assert asked(application, shop, path=path, REQUEST_METHOD="DELETE")[2]["status"] == "released"
    assert asked(application, shop, path=path, REQUEST_METHOD="DELETE")[0] == 404
    assert asked(application, shop)[2]["remaining"] == 450
    # Ten leased units and no more, although 450 are left.
    document = asked(application, shop, {**BRIEF, "quantity": 11, "reserve": True})[2]
    assert (document["reason"], document["retry_after_s"]) == ("QUOTA_EXCEEDED", 1)
    id = asked(application, shop, {**BRIEF, "reserve": True})[2]["reservation"]["id"]
    settled = asked(application, shop, path=f"/v1/reservations/{id}/settle")[2]
    assert (settled["status"], settled["event_reservation_id"].startswith("3.1.")) == ("settled", True)
    assert asked(application, shop)[2]["remaining"] == 449


def test_units_with_decimal_places_static_and_boolean_features(application, shop, store):
    # 10.00 GB, 5.50 used.
    document = asked(
        application, shop, {"customerId": "cust_abc", "featureKey": "storage", "quantity": "0.25"}
    )[2]
    assert (document["quota"], document["remaining"], document["used"]) == ("10.00", "4.50", "5.50")
    document = asked(application, shop, {"customerId": "cust_abc", "featureKey": "seats"})[2]
    assert (document["allowed"], document["quota"], document["value"]) == (True, None, "5")
    document = asked(application, shop, {"customerId": "cust_abc", "featureKey": "sso"})[2]
    assert (document["allowed"], document["quota"], document["limit_type"]) == (True, None, None)


@pytest.mark.parametrize(
    ("changes", "reason", "status"),
    [
        ({"tenantId": "nobody"}, "UNKNOWN_CUSTOMER", 403),
        ({"featureKey": "teleport"}, "UNKNOWN_FEATURE", 403),
        ({"quantity": 1_000}, "QUOTA_EXCEEDED", 429),
    ],
)
def test_refusals_and_what_a_gateway_makes_of_them(application, shop, store, changes, reason, status):
    document = asked(application, shop, {**BRIEF, **changes})[2]
    assert (document["allowed"], document["reason"]) == (False, reason)
    answered, _, problem = asked(application, shop, {**BRIEF, **changes}, QUERY_STRING="enforce=true")
    assert (answered, problem["reason"]) == (status, reason)
    assert problem["type"].endswith(reason.lower().replace("_", "-"))


@pytest.mark.parametrize(
    ("action", "level", "refused", "code", "retry_after"),
    [
        ("warn", 1, False, None, None),
        ("throttle", 2, True, "rate-limited-margin", "60"),
        ("block", 3, True, "service-restricted-margin", "1800"),
        ("downgrade", 2, False, None, None),
    ],
)
def test_each_level_of_the_margin_guard(application, shop, store, action, level, refused, code, retry_after):
    store.apply(
        [
            msgspec.structs.replace(
                CUSTOMER,
                version=2,
                margin_level=level,
                margin_action=action,
                throttle_percent=100,
                retry_after_s=int(retry_after or 0),
                downgrades={"gpt-4o": "gpt-4o-mini"},
            )
        ]
    )
    status, headers, document = asked(application, shop, QUERY_STRING="enforce=true")
    assert status == (429 if refused else 200)
    # The headers are those of an answer that lets through, too: 450 of 1,000 are left.
    assert headers["X-Margin-Guard-Warning"] == f"L{level}"
    assert (headers["X-Aforo-Limit"], headers["X-Aforo-Remaining"]) == ("1000", "450")
    if refused:
        assert document["type"].endswith(code)
        assert headers["Retry-After"] == retry_after
    else:
        downgrades = {"downgrades": {"gpt-4o": "gpt-4o-mini"}} if action == "downgrade" else {}
        assert document["margin"] == {"level": level, **downgrades}


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"featureKey": "x"}, "tenantId"),
        ({"tenantId": "cust_abc"}, "featureKey"),
        ({**BRIEF, "customerId": "cust_xyz"}, "customerId"),
        ({**BRIEF, "quantity": -1}, "quantity"),
        ({**BRIEF, "quantity": "many"}, "quantity"),
        ({**BRIEF, "quantity": 0.5}, "quantity"),
        ({**BRIEF, "quantity": 1e300}, "quantity"),
        ({**BRIEF, "reserve": "yes"}, "reserve"),
        ({**BRIEF, "ttl_s": 0}, "ttl_s"),
        ({**BRIEF, "feature": "x"}, "feature"),
        ({**BRIEF, "tenantId": "x" * 256}, "tenantId"),
        ({**BRIEF, "tenantId": "a\u0000b"}, "tenantId"),
    ],
)
def test_a_body_that_makes_no_sense(application, shop, store, document, field):
    status, _, problem = asked(application, shop, document)
    assert (status, problem["code"]) == (422, "input_invalid")
    assert field in problem["errors"]


@pytest.mark.parametrize(
    ("body", "status"), [(b"", 400), (b"[]", 400), (b"{", 400), (b"[" * 100, 400), (b"\xff", 400)]
)
def test_a_body_that_cannot_be_read(application, shop, store, body, status):
    assert sent(application, body, "/v1/canAccess", HTTP_AUTHORIZATION=f"Bearer {shop.key}")[0] == status


def test_a_batch_answers_each_by_itself(application, shop, store):
    checks = [BRIEF, {**BRIEF, "tenantId": "nobody"}, {**BRIEF, "featureKey": "sso"}]
    _, _, document = asked(application, shop, {"checks": checks}, path="/v1/canAccess/batch")
    assert [one["reason"] for one in document["checks"]] == ["OK", "UNKNOWN_CUSTOMER", "OK"]
    for wrong in ({"checks": []}, {"checks": [BRIEF] * 101}, {"checks": {}}, {"checks": [BRIEF], "more": 1}):
        assert asked(application, shop, wrong, path="/v1/canAccess/batch")[0] == 422
    problem = asked(application, shop, {"checks": [BRIEF, {}]}, path="/v1/canAccess/batch")[2]
    assert sorted(problem["errors"]) == ["checks[1].featureKey", "checks[1].tenantId"]


def test_keys_at_the_site(application, shop, store):
    assert asked(application, shop, HTTP_AUTHORIZATION="")[2]["code"] == "key_missing"
    assert (
        asked(application, shop, HTTP_AUTHORIZATION=f"Bearer {shop.key[:-4]}0000")[2]["code"] == "key_unknown"
    )
    assert asked(application, shop, HTTP_X_TENANT_ID="other")[2]["code"] == "tenant_mismatch"
    assert asked(application, shop, HTTP_X_TENANT_ID="acme_corp")[0] == 200
    _, reader = api_key_create(tenant=shop.tenant, name="reads", scopes=["read"])
    assert asked(application, shop, HTTP_AUTHORIZATION=f"Bearer {reader}")[2]["code"] == "scope_missing"
    store.apply([key_record(shop.key, version=2, is_revoked=True)])
    central._keys.cache_clear()
    status, _, problem = asked(application, shop)
    assert (status, problem["code"]) == (401, "key_revoked")


def test_a_key_that_the_site_has_not_heard_of_yet_works(application, shop, store):
    _, fresh = api_key_create(tenant=shop.tenant, name="fresh")
    assert asked(application, shop, HTTP_AUTHORIZATION=f"Bearer {fresh}")[2]["remaining"] == 450


def test_another_tenants_key_knows_none_of_it(application, shop, store):
    other = workspace("other_corp")
    _, _, document = asked(application, other)
    assert document["reason"] == "UNKNOWN_FEATURE" or document["reason"] == "UNKNOWN_CUSTOMER"
    id = asked(application, shop, {**BRIEF, "reserve": True})[2]["reservation"]["id"]
    released = asked(application, other, path=f"/v1/reservations/{id}", REQUEST_METHOD="DELETE")
    assert released[0] == 404
    assert asked(application, shop)[2]["remaining"] == 449
    for made_up in ("rsv_", "rsv_AAAA", "x", "rsv_%s" % ("A" * 400)):
        answer = asked(application, shop, path=f"/v1/reservations/{made_up}", REQUEST_METHOD="DELETE")
        assert answer[0] == 404


@pytest.mark.promise("P83")
def test_ten_thousand_decisions_ask_no_database(shop, store, django_assert_num_queries):
    hot = Hot(WSGIHandler())
    asked(hot, shop)
    with django_assert_num_queries(0):
        for number in range(10_000):
            # Every other customer is unknown.
            customer = "cust_abc" if number % 2 else f"nobody_{number}"
            status, _, document = asked(hot, shop, {**BRIEF, "tenantId": customer})
            assert (status, document["allowed"]) == (200, bool(number % 2))


def test_the_origin_stays_silent_and_decisions_go_on_and_say_so(shop, store):
    hot = Hot(WSGIHandler())
    with clock_at(now() + timedelta(seconds=30)):
        document = asked(hot, shop)[2]
    assert (document["allowed"], document["remaining"], document["stale"]) == (True, 450, True)


def test_without_a_redis_the_policy_decides(application, shop, store, monkeypatch):
    assert asked(application, shop)[2]["remaining"] == 450
    gone = EdgeStore("redis://127.0.0.1:1/0", timeout_s=0.05)
    monkeypatch.setattr(central, "central_store", lambda: gone)
    status, _, document = asked(application, shop)
    assert (status, document["allowed"], document["stale"]) == (200, True, True)
    assert (
        asked(
            application, shop, path="/v1/reservations/rsv_Ny4xLm4Kc2VhcmNoCmN1c3Q", REQUEST_METHOD="DELETE"
        )[0]
        == 503
    )
    assert Redis.from_url(settings.REDIS_URL).ping()
