"""The forms of features, entitlements and grants."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.urls import reverse

from aforo.tenancy.services.customers import customer_create
from entitlements.models import EdgePolicy, Entitlement, Feature, Grant
from entitlements.services.entitlements import entitlement_create
from entitlements.services.features import feature_create
from entitlements.services.grants import grant_create
from tests import catalogs
from tests.entitlements.edge.shops import metered
from tests.workspaces import Workspace, workspace

from .workplace import signed_in

pytestmark = pytest.mark.django_db

RULE = {
    "layer": "PLAN",
    "owner": "standard",
    "customer": "",
    "is_granted": "on",
    "limit": "1000",
    "limit_type": "HARD",
    "value": "",
    "window": "BILLING",
    # Hidden by the window, and not taken.
    "window_unit": "day",
    "window_s": "60",
    "starts_at_0": "",
    "starts_at_1": "",
    "ends_at_0": "",
    "ends_at_1": "",
}


@pytest.fixture
def acme() -> Workspace:
    made = workspace()
    catalogs.on_sale(made.tenant)
    return made


@pytest.fixture
def client(acme: Workspace):
    return signed_in(acme.tenant)


def page(model: str, name: str, *args: object) -> str:
    return reverse(f"admin:entitlements_{model}_{name}", args=args)


def a_feature(client, acme: Workspace) -> Feature:
    form = {"code": "search", "name": "Search", "description": "", "kind": "METERED", "unit": "search"}
    answer = client.post(page("feature", "add"), {**form, "meter": acme.meter.pk, "decimal_places": "0"})
    assert answer.status_code == 302, answer.context["errors"]
    return Feature.objects.get()


def test_what_a_feature_that_is_not_metered_has_no_use_for_is_not_taken(client, acme: Workspace):
    form = {"code": "sso", "name": "SSO", "description": "", "kind": "BOOLEAN", "unit": ""}
    answer = client.post(page("feature", "add"), {**form, "meter": acme.meter.pk, "decimal_places": "2"})
    assert answer.status_code == 302, answer.context["errors"]
    feature = Feature.objects.get()
    assert (feature.meter, feature.decimal_places) == (None, 0)


def test_a_plan_and_a_customer_are_given_a_feature_and_it_is_removed(client, acme: Workspace):
    feature = a_feature(client, acme)
    offered = client.get(page("entitlement", "add")).content.decode()
    assert "standard · " in offered
    rule = {**RULE, "feature": feature.pk}
    assert client.post(page("entitlement", "add"), rule).status_code == 302
    row = Entitlement.objects.get()
    assert (row.owner, row.limit, row.window_unit, row.window_s) == ("standard", 1_000, "", None)
    # Of the customer, whose page has its own choice of owners.
    own = {**rule, "layer": "CUSTOMER", "owner": "", "customer": acme.customer.pk, "limit": "5"}
    assert client.post(page("entitlement", "add"), own).status_code == 302
    assert Entitlement.objects.get(layer="CUSTOMER").owner == "cust_abc"
    nobody = client.post(page("entitlement", "add"), {**own, "customer": ""})
    assert nobody.status_code == 200
    # As it was written, and not as the store has it: 1000.000000.
    form = client.get(page("entitlement", "change", row.pk)).context["adminform"].form
    assert form["limit"].value() == "1000"
    changed = client.post(page("entitlement", "change", row.pk), {**rule, "limit": "2000"})
    assert changed.status_code == 302, changed.context["errors"]
    row.refresh_from_db()
    assert (row.owner, row.limit) == ("standard", 2_000)
    client.post(page("entitlement", "remove", row.pk))
    assert list(Entitlement.objects.values_list("layer", flat=True)) == ["CUSTOMER"]


def test_a_grant_is_given_and_taken_back(client, acme: Workspace):
    feature = a_feature(client, acme)
    form = {
        "customer": acme.customer.pk,
        "feature": feature.pk,
        "amount": "500",
        "priority": "100",
        "reason": "goodwill",
        "effective_at_0": "2026-03-01",
        "effective_at_1": "00:00:00",
        "expires_at_0": "",
        "expires_at_1": "",
        "recurrence": "month",
        "recurrence_count": "3",
        "max_rollover": "50",
        "min_rollover": "0",
    }
    wrong = client.post(page("grant", "add"), {**form, "amount": "0.5"})
    assert "decimal places" in wrong.content.decode()
    above = client.post(page("grant", "add"), {**form, "min_rollover": "51"})
    assert "not above the most" in above.content.decode()
    assert client.post(page("grant", "add"), form).status_code == 302
    grant = Grant.objects.get()
    assert client.get(page("grant", "change", grant.pk)).status_code == 200
    listed = client.get(page("grant", "changelist"), {"state": "ACTIVE", "recurrence__exact": "month"})
    assert "every 3 months" in listed.content.decode()
    assert [one.balance for one in listed.context["cl"].result_list] == [500]
    assert "every 3" not in client.get(page("grant", "changelist"), {"state": "REVOKED"}).content.decode()
    client.post(page("grant", "revoke", grant.pk))
    grant.refresh_from_db()
    assert grant.revoked_at is not None


def test_the_edge_policy_is_set(client, acme: Workspace):
    answer = client.post(page("edgepolicy", "add"), {"on_unknown": "deny", "max_stale_s": "600"})
    assert answer.status_code == 302
    policy = EdgePolicy.objects.get()
    assert (policy.on_unknown, policy.max_stale_s) == ("deny", 600)


def test_a_customers_page_says_what_it_may_use_and_why(client, acme: Workspace):
    address = reverse("console-in-force")
    of = {"tenant": acme.tenant, "actor": "ada"}
    feature_create(**of, code="search", name="Search", kind="METERED", meter="api.call")
    feature_create(**of, code="sso", name="SSO", kind="BOOLEAN")
    entitlement_create(**of, feature="search", layer="CUSTOMER", owner="cust_abc", limit=Decimal(2))
    grant_create(**of, customer="cust_abc", feature="search", amount=Decimal(10))
    metered(acme, 5)
    answer = client.get(address, {"customer": "cust_abc"})
    (row,) = answer.context["rows"]
    # 2 of the rule and 10 of the grant; 12 - 5 = 7.
    assert {name: row[name] for name in ("layer", "why", "limit", "from_grants", "used", "left")} == {
        "layer": "Customer",
        "why": "2 from the customer cust_abc",
        "limit": "12",
        "from_grants": "10",
        "used": "5",
        "left": "7",
    }
    shown = answer.content.decode()
    assert "Not entitled to sso." in shown
    assert "Without a subscription." in shown
    # Nothing of another tenant's customer.
    customer_create(tenant=workspace("other").tenant, external_id="cust_xyz", name="XYZ")
    assert client.get(address, {"customer": "cust_xyz"}).context["customer"] is None
    assert "external id" in client.get(address).content.decode()
