"""The margin guard over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aforo.audit.models import AuditEntry
from aforo.kernel.clock import clock_at
from aforo.tenancy.services.api_keys import api_key_create
from entitlements.services.margin_guard import margins_evaluate
from tests.api.conftest import Api
from tests.entitlements.margins import MARCH_20, Guarded, guarded

RATE = {"meter": "api.call", "unit_cost": "0.016", "starts_at": "2026-01-01T00:00:00Z"}
COST = {
    "customer": "cust_abc",
    "on": "2026-03-05",
    "amount": "12.50",
    "source": "openai",
    "external_key": "5/abc",
}


@pytest.fixture
def acme(db: None, redis_empty: None) -> Guarded:
    return guarded()


@pytest.fixture
def api(acme: Guarded) -> Api:
    return Api(api_key_create(tenant=acme.tenant, name="margins")[1])


def test_from_a_rate_and_a_policy_to_a_blocked_customer(api: Api, acme: Guarded):
    acme.used(200_000)
    assert api.post("/v1/cost-rates", RATE).status_code == 201
    made = api.post("/v1/margin-policies", {"code": "standard", "name": "Standard"})
    assert made.status_code == 201
    shown = ("floor_1", "floor_2", "floor_3", "hysteresis", "mode")
    assert [made.json()[name] for name in shown] == ["20", "10", "0", "5", "ALERT"]
    changed = api.patch("/v1/margin-policies/standard", {"mode": "ENFORCE"})
    assert (changed.status_code, changed.json()["mode"]) == (200, "ENFORCE")
    margins_evaluate(tenant=acme.tenant, as_of=MARCH_20)

    (margin,) = api.get("/v1/margins", level=3).json()["data"]
    assert api.get("/v1/margins", level=0).json()["data"] == []
    assert api.get("/v1/margins/cust_abc").json() == margin
    shown = ("level", "action", "revenue", "cost", "margin_percent", "policy")
    assert [margin[name] for name in shown] == [3, "block", "2000.00", "3200.00", "-60", "standard"]
    events = api.get("/v1/margin-events", customer="cust_abc").json()["data"]
    assert [event["kind"] for event in events] == ["ENFORCED", "TRIPPED"]

    entries = api.get("/v1/audit").json()["data"]
    assert [entry["action"] for entry in entries] == [
        *("margin.enforced", "margin.tripped"),
        *("margin_policy.edited", "margin_policy.created", "cost_rate.created"),
    ]
    assert (entries[2]["before"], entries[2]["after"]) == ({"mode": "ALERT"}, {"mode": "ENFORCE"})
    assert [entry["sequence"] for entry in api.get("/v1/audit", action="margin.tripped").json()["data"]] == [
        4
    ]


def test_a_dry_run_judges_the_policy_as_it_would_be_and_keeps_nothing(api: Api, acme: Guarded):
    acme.used(200_000)
    api.post("/v1/cost-rates", RATE)
    api.post("/v1/margin-policies", {"code": "standard", "name": "Standard"})
    with clock_at(MARCH_20):
        run = api.post("/v1/margin-policies/standard/dry-run", {"days": 12, "changes": {"mode": "ENFORCE"}})
    assert run.status_code == 200, run.content
    (customer,) = run.json()["customers"]
    assert [day["level"] for day in customer["days"]] == [0, 0, *[3] * 10]
    assert customer["days"][-1]["action"] == "block"
    assert api.get("/v1/margin-policies/standard").json()["mode"] == "ALERT"
    assert AuditEntry.objects.count() == 2
    refused = api.post("/v1/margin-policies/standard/dry-run", {"changes": {"floor_2": "30"}})
    assert (refused.status_code, refused.json()["code"]) == (422, "input_invalid")


def test_an_import_sent_twice_counts_once(api: Api):
    assert api.post("/v1/imported-costs", {"costs": [COST]}).json() == {"added": 1, "changed": 0, "same": 0}
    assert api.post("/v1/imported-costs", {"costs": [COST]}).json() == {"added": 0, "changed": 0, "same": 1}
    (cost,) = api.get("/v1/imported-costs", source="openai", first_on="2026-03-01").json()["data"]
    assert cost == {**COST, "amount": "12.5", "currency": "USD"}


@pytest.mark.parametrize(
    ("address", "body", "status", "field"),
    [
        ("/v1/margin-policies", {"code": "a", "name": "A", "floor_1": "5"}, 422, "row"),
        ("/v1/margin-policies", {"code": "a", "name": "A", "scope": "PLAN"}, 422, "row"),
        ("/v1/margin-policies", {"code": "a", "name": "A", "scope": "PLAN", "owner": "none"}, 404, None),
        ("/v1/margin-policies", {"code": "a", "name": "A", "window": "DAYS"}, 422, "row"),
        ("/v1/margin-policies", {"code": "a", "name": "A", "currency": "XXQ"}, 422, "currency"),
        ("/v1/cost-rates", {**RATE, "meter": "none"}, 404, None),
        ("/v1/cost-rates", {**RATE, "dimensions": {"color": "red"}}, 422, "dimensions"),
        ("/v1/cost-rates", {**RATE, "ends_at": "2025-01-01T00:00:00Z"}, 422, "row"),
        ("/v1/imported-costs", {"costs": [{**COST, "customer": "none"}]}, 422, "costs[0].customer"),
        ("/v1/imported-costs", {"costs": [{**COST, "currency": "XXQ"}]}, 422, "costs[0].currency"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_field(
    api: Api, address: str, body: dict[str, object], status: int, field: str | None
):
    refused = api.post(address, body)
    assert refused.status_code == status, refused.content
    if field:
        assert list(refused.json()["errors"]) == [field]


def test_a_rate_ends_and_another_follows(api: Api):
    first = api.post("/v1/cost-rates", RATE).json()
    assert api.post("/v1/cost-rates", RATE).status_code in {409, 422}
    ended = api.post(f"/v1/cost-rates/{first['id']}/end", {"ends_at": "2026-07-01T00:00:00Z"})
    assert ended.json()["ends_at"] == "2026-07-01T00:00:00Z"
    assert api.get(f"/v1/cost-rates/{first['id']}").json() == ended.json()
    assert len(api.get("/v1/cost-rates", meter="api.call").json()["data"]) == 1
    assert datetime.fromisoformat(first["starts_at"]) == datetime(2026, 1, 1, tzinfo=UTC)
