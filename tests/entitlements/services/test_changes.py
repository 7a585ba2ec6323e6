"""Who may use what is audited: each change has its entry with before and after, in the transaction of the change."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import transaction

from aforo.audit.models import AuditEntry
from aforo.audit.selectors import audit_verify
from aforo.tenancy.models import ApiKey
from aforo.tenancy.services.customers import customer_create
from entitlements.models import Feature
from entitlements.services.entitlements import entitlement_create, entitlement_edit, entitlement_remove
from entitlements.services.features import edge_policy_set, feature_create, feature_edit
from entitlements.services.grants import grant_create, grant_revoke
from tests.api.conftest import Api
from tests.workspaces import Workspace, workspace

pytestmark = pytest.mark.django_db

SEARCH = {"code": "search", "name": "Search", "kind": "METERED", "meter": "api.call"}


@pytest.fixture
def acme() -> Workspace:
    made = workspace()
    feature_create(tenant=made.tenant, actor="ada", **SEARCH)
    return made


def last(action: str) -> AuditEntry:
    """The last entry, which is of this action."""
    entry = AuditEntry.objects.latest("sequence")
    assert (entry.actor, entry.action) == ("ada", action)
    return entry


def test_a_feature_made_changed_and_archived(acme: Workspace):
    entry = last("feature.created")
    assert (entry.subject, entry.before) == ("feature search", None)
    assert (entry.after["meter"], entry.after["decimal_places"]) == ("api.call", 0)

    feature_edit(tenant=acme.tenant, actor="ada", code="search", name="Searches", unit="")
    # Of the two fields one is another than before.
    assert last("feature.edited").before == {"name": "Search"}
    feature_edit(tenant=acme.tenant, actor="ada", code="search", is_archived=True)
    assert last("feature.edited").after == {"is_archived": True}

    count = AuditEntry.objects.count()
    feature_edit(tenant=acme.tenant, actor="ada", code="search", name="Searches", is_archived=True)
    assert AuditEntry.objects.count() == count


def test_an_entitlement_given_changed_ended_and_removed(acme: Workspace):
    row = entitlement_create(
        tenant=acme.tenant,
        actor="ada",
        feature="search",
        layer="CUSTOMER",
        owner="cust_abc",
        limit=Decimal("1000"),
    )
    entry = last("entitlement.created")
    assert entry.subject == "entitlement search: Customer cust_abc"
    assert (entry.after["feature"], entry.after["limit"]) == ("search", "1000")

    of = {"tenant": acme.tenant, "actor": "ada", "entitlement_id": row.pk}
    # The store has 1000.000000, which is the same number.
    entitlement_edit(**of, limit=Decimal("2000"), limit_type="HARD")
    entry = last("entitlement.edited")
    assert (entry.before, entry.after) == ({"limit": "1000"}, {"limit": "2000"})
    entitlement_edit(**of, ends_at=datetime(2030, 1, 1, tzinfo=UTC))
    entry = last("entitlement.edited")
    assert (entry.before, entry.after) == ({"ends_at": None}, {"ends_at": "2030-01-01T00:00:00Z"})

    entitlement_remove(**of)
    entry = last("entitlement.removed")
    assert (entry.before["limit"], entry.after) == ("2000", None)


def test_a_grant_given_and_revoked_once(acme: Workspace):
    of = {"tenant": acme.tenant, "actor": "ada"}
    grant = grant_create(**of, customer="cust_abc", feature="search", amount=Decimal(500), reason="goodwill")
    entry = last("grant.created")
    assert entry.subject == "grant 500 of search for cust_abc"
    assert {name: entry.after[name] for name in ("customer", "amount", "reason")} == {
        "customer": "cust_abc",
        "amount": "500",
        "reason": "goodwill",
    }
    grant_revoke(**of, grant_id=grant.pk)
    assert last("grant.revoked").before == {"revoked_at": None}
    grant_revoke(**of, grant_id=grant.pk)
    assert AuditEntry.objects.filter(action="grant.revoked").count() == 1


def test_the_edge_policy_set(acme: Workspace):
    edge_policy_set(tenant=acme.tenant, actor="ada", on_unknown="deny")
    entry = last("edge_policy.edited")
    assert (entry.before, entry.after) == ({"on_unknown": "allow"}, {"on_unknown": "deny"})
    assert audit_verify(acme.tenant).first_wrong is None


def test_over_http_the_actor_is_the_key(acme: Workspace):
    answer = Api(acme.key).patch("/v1/features/search", {"name": "Searches"})
    assert answer.status_code == 200
    entry = AuditEntry.objects.latest("sequence")
    assert (entry.action, entry.actor) == ("feature.edited", str(ApiKey.objects.get().pk))


def test_a_change_that_is_taken_back_has_no_entry(acme: Workspace):
    with transaction.atomic():
        feature_edit(tenant=acme.tenant, actor="ada", code="search", name="Searches")
        transaction.set_rollback(True)
    assert Feature.objects.get().name == "Search"
    assert AuditEntry.objects.count() == 1


def test_a_long_name_is_cut_in_the_subject_alone(acme: Workspace):
    # 255 characters of a customer and 64 of a feature are more than a subject holds.
    name = "c" * 255
    customer_create(tenant=acme.tenant, external_id=name, name="Long")
    feature_create(tenant=acme.tenant, actor="ada", **{**SEARCH, "code": "f" * 64})
    entitlement_create(
        tenant=acme.tenant, actor="ada", feature="f" * 64, layer="CUSTOMER", owner=name, limit=None
    )
    entry = last("entitlement.created")
    assert (len(entry.subject), entry.after["owner"]) == (320, name)
    assert audit_verify(acme.tenant).first_wrong is None
