"""Features, entitlements and grants over HTTP: made, changed and taken away, and what a customer then has."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from tests.api.conftest import Api
from tests.entitlements.edge.shops import metered
from tests.workspaces import Workspace

FEATURE = {"code": "search", "name": "Search", "kind": "METERED", "meter": "api.call"}
OWN = {"feature": "search", "layer": "CUSTOMER", "owner": "cust_abc", "limit": "1000"}


def made(api: Api, address: str, body: dict[str, Any], status: int = 201) -> dict[str, Any]:
    answer = api.post(address, body)
    assert answer.status_code == status, answer.content
    return answer.json()


def test_what_a_customer_may_use_and_why(api: Api, acme: Workspace) -> None:
    made(api, "/v1/features", FEATURE)
    made(api, "/v1/entitlements", OWN)
    metered(acme, 3)
    answer = api.get("/v1/customers/cust_abc/entitlements").json()
    assert (answer["customer"], answer["is_active"]) == ("cust_abc", True)
    (one,) = answer["entitlements"]
    # 1,000 - 3 = 997.
    assert {name: one[name] for name in ("limit", "used", "remaining", "layer", "explanation")} == {
        "limit": "1000",
        "used": "3",
        "remaining": "997",
        "layer": "CUSTOMER",
        "explanation": "1000 from the customer cust_abc",
    }
    assert one["window_start"] < one["reset_at"]


def test_what_is_over_the_limit_is_taken_from_a_grant(api: Api, acme: Workspace) -> None:
    made(api, "/v1/features", FEATURE)
    made(api, "/v1/entitlements", {**OWN, "limit": "2"})
    grant = made(api, "/v1/grants", {"customer": "cust_abc", "feature": "search", "amount": "10"})
    metered(acme, 5)
    (one,) = api.get("/v1/customers/cust_abc/entitlements").json()["entitlements"]
    # 2 of the rule and 10 of the grant; 5 used, 3 of them from the grant.
    assert (one["limit"], one["from_grants"], one["remaining"]) == ("12", "10", "7")
    history = api.get(f"/v1/grants/{grant['id']}/history").json()
    assert (history["balance"], [one["taken"] for one in history["history"]]) == ("7", ["3"])
    revoked = made(api, f"/v1/grants/{grant['id']}/revoke", {}, 200)
    assert revoked["revoked_at"] is not None
    assert api.get(f"/v1/grants/{grant['id']}/history").json()["balance"] == "0"
    (one,) = api.get("/v1/customers/cust_abc/entitlements").json()["entitlements"]
    assert (one["limit"], one["remaining"]) == ("2", "0")


def test_an_entitlement_is_changed_and_removed(api: Api) -> None:
    made(api, "/v1/features", FEATURE)
    address = f"/v1/entitlements/{made(api, '/v1/entitlements', OWN)['id']}"
    changed = api.patch(address, {"limit": None, "limit_type": "SOFT"}).json()
    assert (changed["limit"], changed["limit_type"], changed["owner"]) == (None, "SOFT", "cust_abc")
    assert api._send("delete", address, None, "application/json", {}).status_code == 204
    assert api.get(address).status_code == 404
    assert api.get("/v1/customers/cust_abc/entitlements").json()["entitlements"] == []


def test_lists_are_filtered(api: Api) -> None:
    made(api, "/v1/features", FEATURE)
    made(api, "/v1/features", {"code": "sso", "name": "SSO", "kind": "BOOLEAN"})
    made(api, "/v1/entitlements", OWN)
    made(api, "/v1/entitlements", {"feature": "sso", "layer": "CUSTOMER", "owner": "cust_abc"})
    assert [one["code"] for one in api.get("/v1/features", kind="BOOLEAN").json()["data"]] == ["sso"]
    (one,) = api.get("/v1/entitlements", feature="search", layer="CUSTOMER").json()["data"]
    assert Decimal(one["limit"]) == 1_000
    assert api.get("/v1/grants", customer="cust_abc").json()["data"] == []


def test_an_archived_feature_gives_nothing(api: Api) -> None:
    made(api, "/v1/features", FEATURE)
    made(api, "/v1/entitlements", OWN)
    assert api.patch("/v1/features/search", {"is_archived": True}).json()["is_archived"] is True
    assert api.get("/v1/customers/cust_abc/entitlements").json()["entitlements"] == []


@pytest.mark.parametrize(
    ("address", "body", "status"),
    [
        ("/v1/features", {**FEATURE, "meter": "api.cal"}, 404),
        ("/v1/features", {"code": "calls", "name": "Calls", "kind": "METERED"}, 422),
        ("/v1/features", {**FEATURE, "code": "x" * 65}, 422),
        ("/v1/entitlements", {**OWN, "owner": "nobody"}, 422),
        ("/v1/entitlements", {**OWN, "limit": "0.5"}, 422),
        ("/v1/entitlements", {**OWN, "limit": "NaN"}, 422),
        ("/v1/entitlements", {**OWN, "window": "SLIDING"}, 422),
        ("/v1/entitlements", {**OWN, "window_unit": "fortnight"}, 422),
        ("/v1/entitlements", {**OWN, "quota": "1000"}, 422),
        ("/v1/grants", {"customer": "cust_abc", "feature": "search", "amount": "0.5"}, 422),
        ("/v1/grants", {"customer": "nobody", "feature": "search", "amount": "5"}, 404),
    ],
)
def test_what_makes_no_sense_is_refused(api: Api, address: str, body: dict[str, Any], status: int) -> None:
    if address != "/v1/features":
        made(api, "/v1/features", FEATURE)
    assert made(api, address, body, status)["detail"]


def test_the_edge_policy_has_defaults_and_is_set(api: Api) -> None:
    assert api.get("/v1/edge/policy").json() == {"on_unknown": "allow", "max_stale_s": 86_400}
    assert api.patch("/v1/edge/policy", {"on_unknown": "deny"}).json()["on_unknown"] == "deny"
    assert api.get("/v1/edge/policy").json() == {"on_unknown": "deny", "max_stale_s": 86_400}
    assert api.patch("/v1/edge/policy", {"max_stale_s": 1}).status_code == 422
