"""From a policy's row to the decision of a site: what is judged is published, and an edit changes the next decision."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from aforo.kernel.clock import now
from entitlements.decision import Ask, Decision, Reason
from entitlements.edge import layout
from entitlements.edge.publisher import Publisher
from entitlements.records import milliseconds
from entitlements.services.margin_guard import margins_evaluate
from entitlements.services.margins import cost_rate_create, margin_policy_create, margin_policy_edit
from tests.entitlements.edge.shops import published, shop, site
from tests.workspaces import Workspace

TENANT = "acme_corp/live"


def asked() -> Decision:
    return site().decide(TENANT, "cust_abc", "advanced_ai_search", Ask(1, milliseconds(now()))).decision


def judged(acme: Workspace, publisher: Publisher) -> None:
    margins_evaluate(tenant=acme.tenant)
    publisher.turn()


@pytest.mark.django_db
@pytest.mark.usefixtures("redis_empty")
@pytest.mark.promise("P82")
def test_entitlements_and_margins_are_at_the_edge_and_an_edit_changes_the_next_decision():
    acme = shop(used=3)
    cost_rate_create(
        tenant=acme.tenant,
        actor="ada",
        meter="api.call",
        unit_cost=Decimal("0.01"),
        starts_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    publisher = published()
    # Keys of both: the feature's with its limit, the customer's with its margin.
    client = site().redis
    assert client.exists(layout.feature_key(TENANT, "cust_abc", "advanced_ai_search"))
    assert client.exists(layout.customer_key(TENANT, "cust_abc"))
    assert (asked().is_allowed, asked().limit) == (True, 1_000)

    # Calls that cost something, and no revenue: below every floor.
    margin_policy_create(tenant=acme.tenant, actor="ada", code="standard", name="Standard", mode="ENFORCE")
    judged(acme, publisher)
    assert (asked().reason, asked().retry_after_s) == (Reason.MARGIN_BLOCK, 1_800)

    margin_policy_edit(tenant=acme.tenant, actor="ada", code="standard", retry_after_3_s=600)
    judged(acme, publisher)
    assert asked().retry_after_s == 600

    margin_policy_edit(tenant=acme.tenant, actor="ada", code="standard", mode="ALERT")
    judged(acme, publisher)
    assert (asked().is_allowed, asked().reason) == (True, Reason.OK)
