"""Reconciliation: all agrees after publishing; a drift that somebody plants is found and named with both numbers."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import call_command

from entitlements.edge import layout
from entitlements.edge.reconciliation import edge_reconcile
from metering.models import Bucket
from tests.api.conftest import Api
from tests.workspaces import customer

from .shops import metered, published, shop, site

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_empty")]

COUNTER = layout.feature_key("acme_corp/live", "cust_abc", "advanced_ai_search")


def test_counter_buckets_and_events_agree_after_publishing():
    acme = shop()
    published()
    (row,) = edge_reconcile(acme.tenant, [acme.customer])
    assert (row.billed, row.counted, row.site, row.held, row.drift) == (550, 550, 550, 0, ())


def test_each_planted_drift_is_named_with_its_numbers():
    acme = shop()
    publisher = published()
    site().redis.hset(COUNTER, "u", 557)
    (row,) = edge_reconcile(acme.tenant, [acme.customer])
    assert row.drift == ("The site says 557 and the events 550.",)

    Bucket.objects.update(count=560)
    publisher.repair()
    publisher.turn()
    (row,) = edge_reconcile(acme.tenant, [acme.customer])
    assert row.drift == ("The buckets say 560 and the events 550.", "The site says 560 and the events 550.")

    site().redis.delete(COUNTER)
    (row,) = edge_reconcile(acme.tenant, [acme.customer])
    assert row.drift[-1] == "The site has no record of it."


def test_the_command_ends_with_1_where_something_drifts(monkeypatch):
    monkeypatch.setattr("entitlements.management.commands.reconcile.SETTLED_S", 0)
    acme = shop()
    published()
    out = io.StringIO()
    call_command("reconcile", "--edge", "--tenant", "acme_corp", "--json", stdout=out)
    assert json.loads(out.getvalue()) == {"reconciled": 1, "drift": []}

    metered(acme, 1)
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("reconcile", "--edge", "--tenant", "acme_corp", stdout=out)
    assert "The site says 550 and the events 551." in out.getvalue()
    assert "1 counters, 1 of them with drift." in out.getvalue()


def test_over_http_in_pages_of_customers_and_of_one_tenant_alone():
    acme = shop()
    customer(acme.tenant, "cust_b")
    other = shop("other", used=0)
    published()
    api = Api(acme.key)
    first = api.get("/v1/edge/reconciliation", limit="1").json()
    assert [row["customer_id"] for row in first["data"]] == ["cust_abc"]
    assert (first["data"][0]["site"], first["next"]) == (550, "cust_abc")
    assert api.get("/v1/edge/reconciliation", after="cust_abc").json() == {"data": [], "next": None}
    assert api.get("/v1/edge/reconciliation", feature="nothing").json()["data"] == []
    (row,) = Api(other.key).get("/v1/edge/reconciliation", customer_id="cust_abc").json()["data"]
    assert (row["billed"], row["site"]) == (0, 0)
