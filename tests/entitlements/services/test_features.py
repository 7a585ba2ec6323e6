"""Features and entitlements: what is refused, who is told, and what customers then have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from aforo.kernel.clock import clock_at, now
from aforo.kernel.errors import Problem
from aforo.outbox.models import Fact
from billing.services.standings import standings_write
from entitlements.selectors.terms import feature_terms
from entitlements.services.entitlements import entitlement_create, entitlement_edit, entitlement_remove
from entitlements.services.features import feature_create, feature_edit
from entitlements.services.grants import grant_create, grant_revoke
from entitlements.services.touched import TOUCHED
from metering.batch import store
from tests import catalogs, workspaces
from tests.metering.rows import call, submission

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop() -> workspaces.Workspace:
    made = workspaces.workspace()
    catalogs.on_sale(made.tenant)
    catalogs.subscribed(made.tenant)
    standings_write(tenant=made.tenant, customer_ids=[made.customer.pk])
    feature_create(
        tenant=made.tenant, actor="ada", code="search", name="Search", kind="METERED", meter="api.call"
    )
    return made


def limited(shop, layer="PLAN", owner="standard", **fields):
    return entitlement_create(
        tenant=shop.tenant,
        actor="ada",
        feature="search",
        layer=layer,
        owner=owner,
        **{"limit": Decimal(1_000), **fields},
    )


def terms(shop):
    return feature_terms(shop.tenant, [shop.customer], now())[shop.customer.pk]


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(Problem) as caught:
        call(*args, **kwargs)
    return caught.value.code


def test_a_plan_gives_its_customers_a_feature_and_they_are_told(shop):
    Fact.objects.all().delete()
    limited(shop)
    (fact,) = Fact.objects.filter(topic=TOUCHED)
    assert fact.body == {"customer_ids": [shop.customer.pk]}
    has = terms(shop)
    assert (has.is_active, has.plan, has.features["search"].limit) == (True, "standard", 1_000)
    assert has.features["search"].window.resets_at > now()
    # Archived, it is unknown.
    feature_edit(tenant=shop.tenant, actor="ada", code="search", is_archived=True)
    assert terms(shop).features == {}


def test_layers_change_hands_at_once(shop):
    limited(shop)
    own = limited(shop, layer="CUSTOMER", owner="cust_abc", limit=Decimal(5))
    assert terms(shop).features["search"].limit == 5
    entitlement_edit(tenant=shop.tenant, actor="ada", entitlement_id=own.pk, limit=None)
    assert terms(shop).features["search"].limit is None
    entitlement_remove(tenant=shop.tenant, actor="ada", entitlement_id=own.pk)
    assert terms(shop).features["search"].limit == 1_000


def test_a_later_rule_of_the_same_owner_takes_over_at_its_start(shop):
    limited(shop)
    limited(shop, limit=Decimal(2_000), starts_at=now() + timedelta(days=1))
    has = terms(shop)
    assert (has.features["search"].limit, has.next_change_at <= now() + timedelta(days=1)) == (1_000, True)
    with clock_at(now() + timedelta(days=2)):
        assert terms(shop).features["search"].limit == 2_000


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"owner": "nobody"}, "input_invalid"),
        ({"layer": "CUSTOMER", "owner": "cust_xyz"}, "input_invalid"),
        ({"layer": "NONE"}, "input_invalid"),
        ({"limit": Decimal("0.5")}, "input_invalid"),
        ({"limit": Decimal(-1)}, "input_invalid"),
        ({"limit": Decimal(10**16)}, "input_invalid"),
        ({"value": "5"}, "input_invalid"),
        ({"window": "CALENDAR"}, "input_invalid"),
        ({"window": "SLIDING"}, "input_invalid"),
        ({"window_s": 60}, "input_invalid"),
        (
            {"starts_at": datetime(2026, 3, 1, tzinfo=UTC), "ends_at": datetime(2026, 2, 1, tzinfo=UTC)},
            "input_invalid",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(shop, fields, code):
    assert code_of(limited, shop, **fields) == code


def test_a_second_rule_of_an_owner_is_refused(shop):
    limited(shop)
    assert code_of(limited, shop) in {"already_exists", "input_invalid"}


def test_features_keep_their_kind(shop):
    assert (
        code_of(feature_edit, tenant=shop.tenant, actor="ada", code="search", kind="BOOLEAN")
        == "state_conflict"
    )
    assert (
        code_of(
            feature_create,
            tenant=shop.tenant,
            actor="ada",
            code="sso",
            name="SSO",
            kind="BOOLEAN",
            meter="api.call",
        )
        == "input_invalid"
    )
    assert (
        code_of(feature_create, tenant=shop.tenant, actor="ada", code="calls", name="Calls", kind="METERED")
        == "input_invalid"
    )


def test_static_and_boolean_features(shop):
    feature_create(tenant=shop.tenant, actor="ada", code="seats", name="Seats", kind="STATIC")
    feature_create(tenant=shop.tenant, actor="ada", code="sso", name="SSO", kind="BOOLEAN")
    entitlement_create(
        tenant=shop.tenant, actor="ada", feature="seats", layer="OFFERING", owner="standard", value="5"
    )
    entitlement_create(tenant=shop.tenant, actor="ada", feature="sso", layer="OFFERING", owner="standard")
    has = terms(shop).features
    assert (has["seats"].in_force.value, has["sso"].limit) == ("5", None)
    assert code_of(
        entitlement_create, tenant=shop.tenant, actor="ada", feature="sso", layer="PLAN", owner="standard", limit=Decimal(1)
    ) == "input_invalid"  # fmt: skip


def test_a_grant_adds_to_the_limit_until_it_is_used_or_taken_back(shop):
    limited(shop, limit=Decimal(10))
    grant = grant_create(
        tenant=shop.tenant, actor="ada", customer="cust_abc", feature="search", amount=Decimal(5)
    )
    assert (terms(shop).features["search"].limit, terms(shop).features["search"].next_limit) == (15, 15)
    # 12 used: two of the grant's. This window has 15 still, the next one 10 + 3.
    store([submission(shop, [call(f"k{n}") for n in range(12)])])
    has = terms(shop).features["search"]
    assert (has.limit, has.extra, has.next_limit) == (15, 5, 13)
    grant_revoke(tenant=shop.tenant, actor="ada", grant_id=grant.pk)
    # The two that were taken stay taken; of the rest nothing is left.
    assert (terms(shop).features["search"].limit, terms(shop).features["search"].next_limit) == (12, 10)
    assert code_of(
        grant_create, tenant=shop.tenant, actor="ada", customer="cust_abc", feature="search", amount=Decimal("0.5")
    ) == "input_invalid"  # fmt: skip
