"""The pages of the edge: sites, quotas with their leases, and reconciliation."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from aforo.kernel.clock import clock_at, now
from aforo.tenancy.models import ApiKey
from entitlements.edge import layout
from entitlements.models import Entitlement, QuotaPool
from entitlements.renewals import LeaseRequest
from entitlements.services.entitlements import entitlement_create
from entitlements.services.features import feature_create
from entitlements.services.leases import leases_renew
from metering.batch import store
from tests import workspaces
from tests.api.conftest import Api
from tests.entitlements.edge.shops import metered, published, shop, site
from tests.metering.rows import call, submission
from tests.workspaces import Workspace

from .workplace import signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_empty")]

SITES = reverse("console-edge-sites")
RECONCILIATION = reverse("console-edge-reconciliation")
POOLS = reverse("admin:entitlements_quotapool_changelist")


@pytest.fixture
def acme() -> Workspace:
    return shop()


@pytest.fixture
def client(acme: Workspace):
    return signed_in(acme.tenant)


def leased(of: Workspace, edge: str = "berlin", feature: str = "advanced_ai_search") -> None:
    requests = [LeaseRequest("cust_abc", feature)]
    leases_renew(tenant=of.tenant, edge=edge, epoch=f"{edge}-1", requests=requests)


def figures(client) -> dict[str, tuple[str, str, bool]]:
    found = client.get(SITES).context["figures"]
    return {one.title: (one.value, one.note, one.is_wrong) for one in found}


def test_before_there_is_a_publisher_the_page_says_what_starts_one(client):
    shown = figures(client)
    assert shown["Publisher"][0] == "never ran"
    assert "make run starts it" in shown["Publisher"][1]
    assert shown["Central site"] == ("empty", "no publisher has filled it yet", True)
    page = client.get(SITES).content.decode()
    assert "No agent has followed the change feed in the last day." in page
    assert "No site holds a lease" in page


def test_a_published_site_is_complete_and_at_the_last_version(client, acme: Workspace):
    published().turn()
    shown = figures(client)
    assert shown["Publisher"][0] == "works"
    assert shown["Publisher"][1].endswith("no change waits")
    value, note, is_wrong = shown["Central site"]
    assert (value, is_wrong) == ("complete", False)
    version = site().meta().cursor
    assert note.endswith(f"is at version {version:,} of {version:,}")
    # The tenant, its customer, what it may use, and its key.
    assert shown["Records of the tenant"] == ("4", "1 of customers, 1 of features, 1 of keys", False)

    metered(acme, 1)
    assert "a change waits for " in figures(client)["Publisher"][1]
    with clock_at(now() + timedelta(minutes=1)):
        assert figures(client)["Publisher"][0] == "silent"
        assert figures(client)["Central site"][0] == "stale"


def test_a_redis_that_is_away_is_a_figure_and_no_error(client):
    with override_settings(REDIS_URL="redis://127.0.0.1:1/0"):
        assert figures(client)["Central site"][0] == "does not answer"
        assert "does not answer" in client.get(RECONCILIATION, {"customer": ""}).content.decode()


def test_a_site_that_follows_the_feed_is_shown_by_its_key(client, acme: Workspace):
    published()
    api = Api(acme.key)
    api.get("/v1/edge/changes")
    (row,) = client.get(SITES).context["followers"]
    assert (row["key"], row["is_late"]) == (ApiKey.objects.get(), False)
    with clock_at(now() + timedelta(minutes=1)):
        (row,) = client.get(SITES).context["followers"]
        assert (row["age"], row["is_late"]) == ("1m ago", True)


def test_what_sites_hold_is_shown_in_the_features_units(client, acme: Workspace):
    workspaces.meter(acme.tenant, "gb", "SUM")
    of = {"tenant": acme.tenant, "actor": "ada"}
    feature_create(**of, code="storage", name="GB", kind="METERED", meter="gb", decimal_places=2)
    entitlement_create(**of, feature="storage", layer="CUSTOMER", owner="cust_abc", limit=Decimal(90))
    leased(acme, feature="storage")
    (row,) = client.get(SITES).context["holdings"]
    # A twentieth of 90.00.
    assert row["figures"] == ["4.50", "0.00", "0.00", "4.50"]
    assert f"{POOLS}?site=berlin" in client.get(SITES).content.decode()


def test_a_quota_and_its_leases_add_up_on_its_page(client, acme: Workspace):
    leased(acme)
    leased(acme, "tokyo")
    shown = client.get(POOLS).content.decode()
    for cell in ("1000", "550", "43", "407", "berlin, tokyo"):
        assert f">{cell}<" in shown.replace("\n", ""), cell
    pool = QuotaPool.objects.get()
    page = client.get(reverse("admin:entitlements_quotapool_change", args=[pool.pk])).content.decode()
    assert "550 + 43 + 407 = 1000" in page
    assert "tokyo-1" in page


def test_quotas_are_found_by_site_customer_and_feature(client, acme: Workspace):
    leased(acme)
    theirs = shop("other", used=0)
    leased(theirs, "elsewhere")

    def found(**query: str) -> int:
        return len(client.get(POOLS, query).context["cl"].result_list)

    assert [found(), found(site="berlin"), found(site="berl"), found(site="elsewhere")] == [1, 1, 0, 0]
    assert [found(customer="cust_abc"), found(customer="cust"), found(q="cust")] == [1, 0, 1]
    assert client.get(reverse("admin:entitlements_quotapool_add")).status_code == 403


def test_a_page_of_quotas_takes_as_many_queries_as_one(client, acme: Workspace):
    def asked() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(POOLS).status_code == 200
        return len(queries)

    leased(acme)
    asked()
    of_one = asked()
    of = {"tenant": acme.tenant, "actor": "ada", "feature": "advanced_ai_search", "layer": "CUSTOMER"}
    for name in ("cust_b", "cust_c"):
        workspaces.customer(acme.tenant, name)
        entitlement_create(**of, owner=name, limit=Decimal(100))
        requests = [LeaseRequest(name, "advanced_ai_search")]
        leases_renew(tenant=acme.tenant, edge="berlin", epoch="berlin-1", requests=requests)
    assert asked() == of_one


def test_nothing_is_compared_before_somebody_asks(client, acme: Workspace):
    published()
    answer = client.get(RECONCILIATION)
    assert (answer.context["page"], answer.context["rows"]) == (None, [])
    answer = client.get(RECONCILIATION, {"customer": "", "feature": ""})
    assert "All agree: 1 counter." in answer.content.decode()
    assert (answer.context["further"], answer.context["drifting"]) == ("", 0)


def test_drift_is_named_in_the_features_units(client, acme: Workspace):
    workspaces.meter(acme.tenant, "gb", "SUM")
    of = {"tenant": acme.tenant, "actor": "ada"}
    feature_create(**of, code="storage", name="GB", kind="METERED", meter="gb", decimal_places=2)
    entitlement_create(**of, feature="storage", layer="CUSTOMER", owner="cust_abc", limit=Decimal(90))
    store([submission(acme, call("key-gb", quantity="4.5", metric="gb"))])
    published()
    counter = layout.feature_key("acme_corp/live", "cust_abc", "storage")
    site().redis.hset(counter, "u", 451)
    answer = client.get(RECONCILIATION, {"customer": "cust_abc", "feature": "storage"})
    (row,) = answer.context["rows"]
    assert (row["billed"], row["counted"], row["site"]) == ("4.50", "4.50", "4.51")
    shown = answer.content.decode()
    assert "1 of 1 counter does not agree." in shown
    assert "The site says 4.51 and the events 4.50." in shown
    assert (
        "There is nothing to compare" in client.get(RECONCILIATION, {"customer": "nobody"}).content.decode()
    )


def test_so_many_customers_a_page(client, acme: Workspace, monkeypatch):
    monkeypatch.setattr("aforo.console.edge_reconciliation.CUSTOMERS_A_PAGE", 1)
    Entitlement.objects.all().delete()
    workspaces.customer(acme.tenant, "cust_b")
    of = {"tenant": acme.tenant, "actor": "ada", "feature": "advanced_ai_search", "layer": "CUSTOMER"}
    entitlement_create(**of, owner="cust_b", limit=Decimal(5))
    published()
    first = client.get(RECONCILIATION, {"customer": ""})
    # The first customer has nothing metered, and the way leads on.
    assert (first.context["rows"], first.context["further"]) == (
        [],
        "customer=&feature=&after=cust_abc",
    )
    second = client.get(f"{RECONCILIATION}?{first.context['further']}")
    assert [row["compared"].customer for row in second.context["rows"]] == ["cust_b"]
    assert second.context["further"] == ""


def test_both_pages_ask_for_permission(acme: Workspace):
    User.objects.create_user("grace", password="x", is_staff=True)
    client = signed_in(acme.tenant, "grace")
    for address in (SITES, RECONCILIATION, POOLS):
        assert client.get(address).status_code == 403
