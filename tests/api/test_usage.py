"""Usage over HTTP."""

from datetime import datetime

import pytest

from aforo.kernel.clock import clock_at
from metering.batch import store
from tests.metering.rows import call, submission
from tests.workspaces import customer, meter

from .conftest import Api


@pytest.fixture
def used(acme):
    """1,280.5 tokens of gpt-4o on 1 March and 7 of gpt-4o-mini on 2 March, as days in Kolkata."""
    kolkata = customer(acme.tenant, "cust_in", timezone="Asia/Kolkata")
    meter(acme.tenant, "llm.tokens", "SUM", group_by=["model"], unit="token")
    events = [
        call(
            "k1",
            "1280.5",
            metric="llm.tokens",
            customer_id="cust_in",
            model="gpt-4o",
            timestamp="2026-03-01T18:29:59Z",
        ),
        call(
            "k2",
            7,
            metric="llm.tokens",
            customer_id="cust_in",
            model="gpt-4o-mini",
            timestamp="2026-03-01T18:30:00Z",
        ),
    ]
    with clock_at(datetime.fromisoformat("2026-03-02T10:00:00Z")):
        store([submission(acme, events)])
    return kolkata


def test_the_quantity_of_a_period_is_exact_text(api, used):
    answer = api.get(
        "/v1/usage", customer_id="cust_in", metric="llm.tokens", start="2026-03-01", end="2026-04-01"
    )

    assert answer.json() == {
        "customer_id": "cust_in",
        "metric": "llm.tokens",
        "aggregation": "SUM",
        "unit": "token",
        "timezone": "Asia/Kolkata",
        # Midnight in Kolkata.
        "start": "2026-02-28T18:30:00Z",
        "end": "2026-03-31T18:30:00Z",
        "quantity": "1287.5",
    }


def test_days_are_the_customers(api, used):
    answer = api.get(
        "/v1/usage",
        customer_id="cust_in",
        meter="llm.tokens",
        start="2026-03-01",
        end="2026-03-03",
        window="day",
    ).json()

    assert answer["windows"] == [
        {"start": "2026-02-28T18:30:00Z", "end": "2026-03-01T18:30:00Z", "quantity": "1280.5"},
        {"start": "2026-03-01T18:30:00Z", "end": "2026-03-02T18:30:00Z", "quantity": "7"},
    ]
    assert answer["quantity"] == "1287.5"


def test_groups_have_their_own_windows(api, used):
    answer = api.get(
        "/v1/usage",
        customer_id="cust_in",
        metric="llm.tokens",
        start="2026-03-01T00:00:00+05:30",
        end="2026-04-01T00:00:00+05:30",
        window="month",
        group_by="model",
    ).json()

    month = {"start": "2026-02-28T18:30:00Z", "end": "2026-03-31T18:30:00Z"}
    assert answer["groups"] == [
        {"by": {"model": "gpt-4o"}, "quantity": "1280.5", "windows": [{**month, "quantity": "1280.5"}]},
        {"by": {"model": "gpt-4o-mini"}, "quantity": "7", "windows": [{**month, "quantity": "7"}]},
    ]
    assert "quantity" not in answer


def test_without_bounds_it_is_the_current_month_until_now(api, used):
    with clock_at(datetime.fromisoformat("2026-03-01T18:30:00Z")):
        answer = api.get("/v1/usage", customer_id="cust_in", metric="llm.tokens").json()

    # The second event lies at the end, which is not included.
    assert (answer["start"], answer["end"]) == ("2026-02-28T18:30:00Z", "2026-03-01T18:30:00Z")
    assert answer["quantity"] == "1280.5"


def test_no_usage_is_zero(api, acme):
    answer = api.get(
        "/v1/usage", customer_id="cust_abc", metric="api.call", start="2026-03-01", end="2026-04-01"
    )

    assert answer.json()["quantity"] == "0"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"customer_id": "cust_abc"}, 422),
        ({"metric": "api.call"}, 422),
        ({"customer_id": "cust_abc", "metric": "api.call", "meter": "another"}, 422),
        ({"customer_id": "cust_x", "metric": "api.call"}, 404),
        ({"customer_id": "cust_abc", "metric": "api.cal"}, 404),
        ({"customer_id": "cust_abc", "metric": "a\0"}, 422),
        ({"customer_id": "cust_abc", "metric": "api.call", "window": "week"}, 422),
        ({"customer_id": "cust_abc", "metric": "api.call", "group_by": "model"}, 422),
        ({"customer_id": "cust_abc", "metric": "api.call", "start": "yesterday"}, 422),
        ({"customer_id": "cust_abc", "metric": "api.call", "start": "2026-03-01T00:00:00"}, 422),
        ({"customer_id": "cust_abc", "metric": "api.call", "start": "0001-01-01"}, 422),
        ({"customer_id": "cust_abc", "metric": "api.call", "start": "2026-03-01", "end": "2026-03-01"}, 422),
        (
            {
                "customer_id": "cust_abc",
                "metric": "api.call",
                "start": "2026-01-01",
                "end": "2026-03-01",
                "window": "hour",
            },
            422,
        ),
    ],
)
def test_wrong_questions_are_told(api, query, status):
    answer = api.get("/v1/usage", **query)

    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"


def test_another_tenant_sees_404_and_its_own_zero(api, other, used):
    theirs = Api(other.key)

    assert theirs.get("/v1/usage", customer_id="cust_in", metric="llm.tokens").status_code == 404
    assert theirs.get("/v1/usage", customer_id="cust_abc", metric="llm.tokens").status_code == 404
    assert theirs.get("/v1/usage/conservation").json()["received"] == 0
    assert api.get("/v1/usage/conservation", start="2026-03-02", end="2026-03-02").json()["accepted"] == 2
    assert api.get("/v1/usage/conservation", start="March").status_code == 422
