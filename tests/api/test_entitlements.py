"""Features, entitlements and grants over HTTP: made, changed and taken away, and what a customer then has."""

from __future__ import annotations

from datetime import datetime, timedelta
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
    # The 3 that were taken stay taken.
    assert (one["limit"], one["from_grants"], one["remaining"]) == ("5", "3", "0")
    assert [part["taken"] for part in api.get(f"/v1/grants/{grant['id']}/history").json()["history"]] == ["3"]


def test_a_grant_that_recurs_and_rolls_over(api: Api, acme: Workspace) -> None:
    made(api, "/v1/features", FEATURE)
    made(api, "/v1/entitlements", {**OWN, "limit": "2"})
    body = {
        "customer": "cust_abc",
        "feature": "search",
        "amount": "10",
        "recurrence": "week",
        "max_rollover": "4",
    }
    grant = made(api, "/v1/grants", body)
    began = datetime.fromisoformat(grant["effective_at"])
    assert (began.minute, began.second, began.microsecond) == (0, 0, 0)
    assert {
        name: grant[name] for name in ("recurrence", "recurrence_count", "max_rollover", "min_rollover")
    } == {
        "recurrence": "week",
        "recurrence_count": 1,
        "max_rollover": "4",
        "min_rollover": "0",
    }
    assert (grant["balance"], datetime.fromisoformat(grant["next_fill_at"])) == (
        "10",
        began + timedelta(weeks=1),
    )
    metered(acme, 5)
    # 3 beyond the limit of 2.
    assert api.get(f"/v1/grants/{grant['id']}").json()["balance"] == "7"
    once = made(api, "/v1/grants", {"customer": "cust_abc", "feature": "search", "amount": "1"})
    assert (once["recurrence"], once["next_fill_at"]) == ("", None)
    assert [one["balance"] for one in api.get("/v1/grants", recurrence="week").json()["data"]] == ["7"]
    revoked = made(api, f"/v1/grants/{grant['id']}/revoke", {}, 200)
    assert (revoked["balance"], revoked["next_fill_at"]) == ("0", None)
    listed = {state: api.get("/v1/grants", state=state).json()["data"] for state in ("ACTIVE", "REVOKED")}
    assert {state: [one["id"] for one in rows] for state, rows in listed.items()} == {
        "ACTIVE": [once["id"]],
        "REVOKED": [grant["id"]],
    }
    assert api.get("/v1/grants", state="gone").status_code == 422


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"recurrence": "fortnight"}, "recurrence"),
        ({"recurrence": "week", "recurrence_count": 0}, "recurrence_count"),
        ({"recurrence_count": 2}, "recurrence_count"),
        ({"max_rollover": "0.5"}, "max_rollover"),
        ({"max_rollover": "-1"}, "max_rollover"),
        ({"min_rollover": "11"}, "min_rollover"),
        ({"min_rollover": "5", "max_rollover": "4"}, "min_rollover"),
        ({"min_rollover": None}, "min_rollover"),
        ({"recurrence": "day", "effective_at": "1999-01-01T00:00:00Z"}, "effective_at"),
        ({"effective_at": "2026-03-01T00:00:00Z", "expires_at": "2026-03-01T00:00:00Z"}, "row"),
    ],
)
def test_grants_that_make_no_sense_say_which_field(api: Api, fields: dict[str, Any], field: str) -> None:
    made(api, "/v1/features", FEATURE)
    body = {"customer": "cust_abc", "feature": "search", "amount": "10", **fields}
    assert list(made(api, "/v1/grants", body, 422)["errors"]) == [field]
    assert api.get("/v1/grants").json()["data"] == []


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
