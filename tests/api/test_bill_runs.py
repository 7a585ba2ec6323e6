"""Bill runs over HTTP."""

from __future__ import annotations

import pytest

from aforo.tenancy.services.api_keys import api_key_create
from billing.models import BillRun
from billing.schemas.bill_runs import BillRunSerializer, ProgressSerializer
from billing.services.bill_runs import bill_run_work
from tests.api.conftest import Api
from tests.billing.builders import a_fee, a_subscription
from tests.workspaces import customer

pytestmark = pytest.mark.django_db

MARCH = {"period": "2026-03"}


@pytest.fixture
def subscription(acme):
    return a_subscription(acme.customer, a_fee())


def worked(acme):
    return bill_run_work(tenant=acme.tenant, run_id=BillRun.objects.get().pk)


def test_a_month_is_billed_and_watched(api, acme, subscription):
    answer = api.post("/v1/bill-runs", MARCH)
    assert answer.status_code == 202
    run = answer.json()
    assert (run["status"], run["starts_on"], run["ends_on"]) == ("RUNNING", "2026-03-01", "2026-04-01")
    assert run["progress"] == {"total": 1, "pending": 1, "drafted": 0, "issued": 0, "failed": 0}
    worked(acme)
    seen = api.get(f"/v1/bill-runs/{run['id']}").json()
    assert (seen["status"], seen["progress"]["issued"], seen["failures"]) == ("COMPLETED", 1, [])
    assert seen["finished_at"] is not None
    assert api.get("/v1/bill-runs").json()["data"] == [seen]


def test_the_description_names_the_members_of_the_answer(api, subscription):
    run = api.post("/v1/bill-runs", MARCH).json()
    assert list(run) == list(BillRunSerializer().fields)
    assert list(run["progress"]) == list(ProgressSerializer().fields)


def test_a_run_is_queued_once_its_rows_are_committed(api, subscription, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks() as callbacks:
        api.post("/v1/bill-runs", MARCH)
    assert len(callbacks) == 1


def test_a_second_run_of_the_month_is_a_conflict(api, subscription):
    run = api.post("/v1/bill-runs", MARCH).json()
    answer = api.post("/v1/bill-runs", MARCH)
    assert answer.status_code == 409
    assert (answer.json()["code"], answer.json()["bill_run_id"]) == ("bill_run_active", run["id"])


def test_the_same_key_and_body_give_the_same_run(api, acme, subscription):
    first = api.post("/v1/bill-runs", MARCH, idempotency_key="march").json()
    worked(acme)
    again = api.post("/v1/bill-runs", MARCH, idempotency_key="march")
    assert (again.status_code, again.json()["id"]) == (202, first["id"])
    other = api.post("/v1/bill-runs", {**MARCH, "auto_finalize": False}, idempotency_key="march")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_reused")


def test_a_scope_leaves_the_others_alone(api, acme, subscription):
    a_subscription(customer(acme.tenant, "cust_b"), a_fee(), code="sub_b")
    run = api.post("/v1/bill-runs", {**MARCH, "scope": {"customers": ["cust_b"]}}).json()
    assert (run["progress"]["total"], run["scope"]) == (1, {"customers": ["cust_b"]})


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 422, "input_invalid"),
        ({"period": "March"}, 422, "input_invalid"),
        ({"period": 202603}, 422, "input_invalid"),
        ({"period": "2026-03\0"}, 400, "body_unreadable"),
        ({**MARCH, "periods": 2}, 422, "input_invalid"),
        ({**MARCH, "scope": "all"}, 422, "input_invalid"),
        ({**MARCH, "scope": {"customer": "cust_abc"}}, 422, "input_invalid"),
        ({**MARCH, "scope": {"customers": [7, None]}}, 422, "input_invalid"),
        ({**MARCH, "scope": {"customers": ["cust_z"]}}, 404, "not_found"),
        ({**MARCH, "scope": {"customers": ["cust\0z"]}}, 400, "body_unreadable"),
        ({**MARCH, "auto_finalize": "perhaps"}, 422, "input_invalid"),
        ({"period": "2999-01"}, 409, "state_conflict"),
        ([MARCH], 422, "input_invalid"),
        (b"{", 400, "body_unreadable"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong_and_leaves_nothing(api, subscription, body, status, code):
    answer = api.post("/v1/bill-runs", body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not BillRun.objects.exists()


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_a_key_is_short_and_printable(api, subscription, key):
    answer = api.post("/v1/bill-runs", MARCH, idempotency_key=key)
    assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid")


def test_another_tenant_sees_no_run(api, other, subscription):
    run = api.post("/v1/bill-runs", MARCH).json()
    theirs = Api(other.key)
    assert theirs.get(f"/v1/bill-runs/{run['id']}").status_code == 404
    assert theirs.get("/v1/bill-runs").json()["data"] == []
    # The month is free for them, and so is the key's name.
    assert theirs.post("/v1/bill-runs", MARCH).status_code == 202


def test_a_key_without_the_scope_is_refused(acme, subscription, redis_empty):
    _, key = api_key_create(tenant=acme.tenant, name="reader", scopes=["read"])
    answer = Api(key).post("/v1/bill-runs", MARCH)
    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
