"""API keys over HTTP."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest

from aforo.kernel.clock import clock_at, now
from aforo.tenancy.models import Tenant
from aforo.tenancy.services.api_keys import api_key_create

from .conftest import Api


def made(api, **fields):
    answer = api.post("/v1/api-keys", {"name": "gateway", **fields})
    assert answer.status_code == 201, answer.content
    return answer.json()


@pytest.mark.promise("P07")
def test_the_secret_is_shown_once_and_lists_show_masked_keys(api, acme):
    key = made(api, scopes=["ingest"])
    secret = key.pop("secret")

    assert key["masked"] == f"{secret[:12]}***"
    assert key["state"] == "ACTIVE"
    assert key["last_used_at"] is None
    listed = api.get("/v1/api-keys")
    assert listed.json()["data"][0] == key
    assert api.get(f"/v1/api-keys/{key['id']}").json() == key
    for answer in (listed, api.get(f"/v1/api-keys/{key['id']}")):
        assert secret[-32:] not in answer.content.decode()
    # Created and last used, of the key that asks, are in the list.
    assert listed.json()["data"][1]["last_used_at"] is not None


@pytest.mark.promise("P07")
def test_last_used_moves_after_a_call(api, acme):
    key = made(api)
    Api(key["secret"]).get("/v1/customers")

    assert api.get(f"/v1/api-keys/{key['id']}").json()["last_used_at"] is not None


@pytest.mark.promise("P08")
def test_a_test_key_makes_test_keys_and_sees_the_test_environment_only(api, acme):
    test_tenant = Tenant.objects.get(slug="acme_corp", environment="test")
    _, text = api_key_create(tenant=test_tenant, name="trial")
    trial = Api(text)

    key = made(trial)
    assert key["secret"].startswith("sk_test_")
    assert key["state"] == "TEST"
    assert trial.get("/v1/customers/cust_abc").status_code == 404
    assert trial.post("/v1/customers", {"external_id": "cust_abc"}).status_code == 201
    assert len(api.get("/v1/customers").json()["data"]) == 1
    assert api.get(f"/v1/api-keys/{key['id']}").status_code == 404


def test_rotation_overlaps_and_ends(api, acme):
    at = now()
    with clock_at(at):
        old = made(api, scopes=["read"], rate_limit_per_s=50)
        new = api.post(f"/v1/api-keys/{old['id']}/rotate", {"overlap_s": 3600})
        assert new.status_code == 201
        new = new.json()
        assert (new["scopes"], new["rate_limit_per_s"], new["name"]) == (["read"], 50, "gateway")
        assert Api(old["secret"]).get("/v1/customers").status_code == 200
        assert api.post(f"/v1/api-keys/{old['id']}/rotate", {}).json()["code"] == "state_conflict"
    with clock_at(at + timedelta(seconds=3600)):
        assert Api(old["secret"]).get("/v1/customers").json()["code"] == "key_revoked"
        assert Api(new["secret"]).get("/v1/customers").status_code == 200
        assert [row["id"] for row in api.get("/v1/api-keys", state="EXPIRED").json()["data"]] == [old["id"]]


def test_a_revoked_key_stays_revoked(api, acme):
    key = made(api)
    first = api.post(f"/v1/api-keys/{key['id']}/revoke").json()
    again = api.post(f"/v1/api-keys/{key['id']}/revoke").json()

    assert (first["state"], first) == ("REVOKED", again)
    assert Api(key["secret"]).get("/v1/customers").json()["code"] == "key_revoked"
    assert [row["id"] for row in api.get("/v1/api-keys", state="REVOKED").json()["data"]] == [key["id"]]
    assert key["id"] not in [row["id"] for row in api.get("/v1/api-keys", state="ACTIVE").json()["data"]]
    assert api.get("/v1/api-keys", state="TEST").json()["data"] == []


def test_a_key_gives_away_no_more_than_it_has(api, acme):
    writer = Api(made(api, scopes=["read", "write"])["secret"])
    full = made(api)

    assert made(writer)["scopes"] == ["read", "write"]
    answer = writer.post("/v1/api-keys", {"name": "x", "scopes": ["ingest"]})
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
    assert writer.post(f"/v1/api-keys/{full['id']}/rotate", {}).status_code == 403


def test_wrong_keys_are_a_problem_each(api, acme):
    for fields in (
        {},
        {"name": ""},
        {"name": "x" * 101},
        {"name": "x", "scopes": ["everything"]},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": "read"},
        {"name": "x", "rate_limit_per_s": 0},
        {"name": "x", "secret": "mine"},
    ):
        answer = api.post("/v1/api-keys", fields)
        assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid"), fields
    key = made(api)
    for overlap_s in (-1, 10**9, "soon"):
        answer = api.post(f"/v1/api-keys/{key['id']}/rotate", {"overlap_s": overlap_s})
        assert answer.status_code == 422


def test_another_tenants_key_is_404(api, acme, other):
    theirs = made(Api(other.key))

    for address in (f"/v1/api-keys/{theirs['id']}", f"/v1/api-keys/{uuid4()}"):
        assert api.get(address).status_code == 404
        assert api.post(f"{address}/rotate", {}).status_code == 404
        assert api.post(f"{address}/revoke").status_code == 404
    assert theirs["id"] not in [row["id"] for row in api.get("/v1/api-keys").json()["data"]]
    assert Api(theirs["secret"]).get("/v1/customers").status_code == 200
