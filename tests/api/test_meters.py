"""Meters over HTTP."""

from metering.models import MeterRow
from tests.workspaces import meter

from .conftest import Api

TOKENS = {
    "key": "llm.input_tokens",
    "event_name": "llm.completion",
    "aggregation": "SUM",
    "value_property": "input_tokens",
    "filters": [{"field": "status", "operator": "LESS_THAN", "value": 500}],
    "group_by": ["model"],
    "unit": "token",
}

HOURS = {"operation": "divide", "factor": "3600", "rounding": "up", "places": 0}


def test_a_meter_is_made_read_listed_and_changed(api, acme):
    made = api.post("/v1/meters", TOKENS)
    assert made.status_code == 201
    assert made.json() | TOKENS == made.json()

    assert api.get("/v1/meters/llm.input_tokens").json() == made.json()
    assert [row["key"] for row in api.get("/v1/meters").json()["data"]] == ["api.call", "llm.input_tokens"]

    changed = api.patch("/v1/meters/llm.input_tokens", {"group_by": ["model", "region"]})
    assert changed.status_code == 200
    assert changed.json() == {**made.json(), "group_by": ["model", "region"]}


def test_a_meter_is_sent_twice_under_one_key(api, acme):
    first = api.post("/v1/meters", TOKENS, Idempotency_Key="m-1")
    again = api.post("/v1/meters", TOKENS, Idempotency_Key="m-1")

    assert (first.status_code, again.content) == (201, first.content)
    assert api.post("/v1/meters", {**TOKENS, "unit": "x"}, Idempotency_Key="m-1").status_code == 409


def test_a_key_with_a_slash_has_an_address(api, acme):
    api.post("/v1/meters", {"key": "GET /v1/search", "aggregation": "COUNT"})

    assert api.get("/v1/meters/GET%20/v1/search").json()["key"] == "GET /v1/search"


def test_wrong_terms_are_a_problem_each(api, acme):
    for terms, status, code in [
        ({"key": "api.call"}, 409, "already_exists"),
        ({"key": "new", "aggregation": "MEDIAN"}, 422, "input_invalid"),
        ({"key": "new", "agregation": "SUM"}, 422, "input_invalid"),
        (
            {"key": "new", "filters": [{"field": "a", "operator": "EQUALS", "value": 0.5}]},
            422,
            "input_invalid",
        ),
        ({"key": "new", "filters": [{"field": "a", "operator": "EQUALS"}]}, 422, "input_invalid"),
        ({"key": "new", "group_by": [str(number) for number in range(9)]}, 422, "input_invalid"),
        ({"key": "new", "filters": {"field": "a"}}, 422, "input_invalid"),
        ({"key": "new", "conversion": {"operation": "divide"}}, 422, "input_invalid"),
        ({"key": "new", "conversion": {**HOURS, "factor": "0"}}, 422, "input_invalid"),
        ({"key": "new", "conversion": {**HOURS, "factor": "-1"}}, 422, "input_invalid"),
        ({"key": "new", "conversion": {**HOURS, "factor": "NaN"}}, 422, "input_invalid"),
        ({"key": "new", "conversion": {**HOURS, "factor": "1e13"}}, 422, "input_invalid"),
        ({"key": "new", "conversion": {**HOURS, "factor": "0.0000000000001"}}, 422, "input_invalid"),
        ({"key": "new", "conversion": {**HOURS, "factor": "an hour"}}, 422, "input_invalid"),
        ({"key": "new", "conversion": {**HOURS, "rounding": "sideways"}}, 422, "input_invalid"),
        ({"key": "new", "conversion": {**HOURS, "places": 13}}, 422, "input_invalid"),
        ({"key": "new", "conversion": {**HOURS, "by": 2}}, 422, "input_invalid"),
        ({"key": "new", "conversion": "hours"}, 422, "input_invalid"),
        ([], 422, "input_invalid"),
        ("x", 422, "input_invalid"),
        (b"{", 400, "body_unreadable"),
        (b'{"key": "a\\u0000"}', 400, "body_unreadable"),
    ]:
        answer = api.post("/v1/meters", terms)
        assert (answer.status_code, answer.json()["code"]) == (status, code), terms
        assert answer["Content-Type"] == "application/problem+json"
    assert MeterRow.objects.count() == 1


def test_another_tenants_meter_is_404(api, acme, other):
    meter(other.tenant, "theirs")

    assert api.get("/v1/meters/theirs").status_code == 404
    assert api.patch("/v1/meters/theirs", {"unit": "x"}).status_code == 404
    assert "theirs" not in [row["key"] for row in api.get("/v1/meters").json()["data"]]
    assert Api(other.key).get("/v1/meters/theirs").status_code == 200


def test_a_conversion_is_kept_shown_in_usage_and_taken_away(api, acme, stored):
    made = api.post("/v1/meters", {"key": "gpu.time", "unit": "hour", "conversion": HOURS})
    assert made.json()["conversion"] == HOURS
    for key, quantity in (("a", 3600), ("b", 1)):
        event = {"id": key, "metric": "gpu.time", "customer_id": "cust_abc", "quantity": quantity}
        assert api.post("/v1/events", event).status_code == 202
    stored()
    # 3,601 seconds are two hours begun.
    answer = api.get("/v1/usage", customer_id="cust_abc", metric="gpu.time").json()
    assert (answer["quantity"], answer["unit"]) == ("2", "hour")
    assert api.patch("/v1/meters/gpu.time", {"conversion": None}).json()["conversion"] is None
    assert api.get("/v1/usage", customer_id="cust_abc", metric="gpu.time").json()["quantity"] == "3601"
