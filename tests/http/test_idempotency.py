"""A POST that is sent again under its key is one request."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connections

from aforo.http.models import GivenAnswer
from aforo.tenancy.models import ApiKey, Customer
from tests.api.conftest import Api
from tests.workspaces import workspace

pytestmark = pytest.mark.django_db

NEW = {"external_id": "cust_new", "name": "New", "timezone": "Asia/Kolkata"}


@pytest.fixture
def acme():
    return workspace()


@pytest.fixture
def api(acme, redis_empty) -> Api:
    return Api(acme.key)


def test_the_same_request_gives_the_same_answer_and_changes_nothing(api):
    first = api.post("/v1/customers", NEW, Idempotency_Key="k-1")
    # The same content, whatever its spelling.
    again = api.post("/v1/customers", dict(reversed(NEW.items())), Idempotency_Key="k-1")

    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content
    assert (first.get("Idempotent-Replayed"), again["Idempotent-Replayed"]) == (None, "true")
    assert Customer.objects.filter(external_id="cust_new").count() == 1


@pytest.mark.parametrize(
    ("address", "body"),
    [("/v1/customers", {**NEW, "name": "Other"}), ("/v1/api-keys", NEW), ("/v1/customers", [])],
)
def test_another_request_under_the_key_is_refused(api, address, body):
    api.post("/v1/customers", NEW, Idempotency_Key="k-1")

    answer = api.post(address, body, Idempotency_Key="k-1")

    assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_reused")


def test_a_refusal_is_not_kept_and_the_corrected_request_may_use_the_key(api):
    refused = api.post("/v1/customers", {**NEW, "currency": "EURO"}, Idempotency_Key="k-1")
    assert (refused.status_code, GivenAnswer.objects.count()) == (422, 0)

    assert api.post("/v1/customers", NEW, Idempotency_Key="k-1").status_code == 201


def test_a_key_is_the_tenants_own(api):
    other = Api(workspace("other").key)

    assert api.post("/v1/customers", NEW, Idempotency_Key="k-1").status_code == 201
    answer = other.post("/v1/customers", {**NEW, "name": "Theirs"}, Idempotency_Key="k-1")
    assert (answer.status_code, answer.json()["name"]) == (201, "Theirs")


def test_a_secret_is_neither_kept_nor_given_again(api):
    first = api.post("/v1/api-keys", {"name": "gateway"}, Idempotency_Key="k-1").json()
    again = api.post("/v1/api-keys", {"name": "gateway"}, Idempotency_Key="k-1").json()

    assert again == {**first, "secret": None}
    assert first["secret"].encode()[-32:] not in bytes(GivenAnswer.objects.get().body)
    assert ApiKey.objects.filter(name="gateway").count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_what_is_no_key_is_refused(api, key):
    answer = api.post("/v1/customers", NEW, Idempotency_Key=key)

    assert (answer.status_code, list(answer.json()["errors"])) == (422, ["Idempotency-Key"])
    assert not Customer.objects.filter(external_id="cust_new").exists()


def test_a_body_too_deep_to_compare_is_refused(api):
    answer = api.post("/v1/customers", b"[" * 600 + b"]" * 600, Idempotency_Key="k-1")

    assert answer.status_code in (400, 422)
    assert answer["Content-Type"] == "application/problem+json"


def test_a_key_that_may_only_read_does_not_learn_what_was_answered(api, acme):
    api.post("/v1/customers", NEW, Idempotency_Key="k-1")
    secret = api.post("/v1/api-keys", {"name": "reader", "scopes": ["read"]}).json()["secret"]

    answer = Api(secret).post("/v1/customers", NEW, Idempotency_Key="k-1")

    assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")


@pytest.mark.django_db(transaction=True)
def test_eight_at_once_are_one(api):
    start = Barrier(8)

    def post(_: int):
        try:
            start.wait(timeout=30)
            return api.post("/v1/customers", NEW, Idempotency_Key="k-1")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert sum(answer.get("Idempotent-Replayed") == "true" for answer in answers) == 7
    assert Customer.objects.filter(external_id="cust_new").count() == 1
