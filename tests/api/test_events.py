"""Events over HTTP, from the call to the stored row."""

import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import quote

import pytest
from django.db import connection

from aforo.kernel.clock import clock_at, now
from aforo.kernel.periods import instant_text
from aforo.tenancy.services.api_keys import api_key_create
from billing.services.catalog import version_draft, version_publish
from metering import log
from metering.models import DeadLetter, Event
from metering.writer import Writer
from tests.catalogs import on_sale, subscribed
from tests.metering.rows import call, tally
from tests.workspaces import customer, meter, workspace

from .conftest import BOTH_WAYS, Api

pytestmark = BOTH_WAYS

QUICK_START = b'{"event":"api.call","endpoint":"/v1/search","customer_id":"cust_abc"}'


@pytest.mark.promise("P10")
def test_the_quick_start_as_it_is_printed(api, acme, stored):
    answer = api.post(
        "/v1/events",
        QUICK_START,
        # What `curl -d` sends.
        content_type="application/x-www-form-urlencoded",
        X_Tenant_Id="acme_corp",
    )

    assert answer.status_code == 202
    assert answer["Aforo-Durability"] == "log"
    (row,) = answer.json()["events"]
    assert answer.json() == {"accepted": 1, "duplicates": 0, "rejected": 0, "failed": 0, "events": [row]}
    assert row["status"] == "accepted"
    waits = api.get(f"/v1/events/{row['idempotency_key']}").json()
    assert (waits["status"], waits["event"]) == ("accepted", None)

    stored()

    state = api.get(f"/v1/events/{row['idempotency_key']}").json()
    assert state["status"] == "stored"
    event = state["event"]
    assert (event["metric"], event["customer_id"], event["quantity"]) == ("api.call", "cust_abc", "1")
    assert event["properties"] == {"endpoint": "/v1/search"}
    assert event["source"] == "rest"
    assert event["timestamp"] == event["received_at"]
    assert api.get("/v1/usage", customer_id="cust_abc", metric="api.call").json()["quantity"] == "1"


@pytest.mark.promise("P38")
def test_an_event_keeps_what_its_customer_had_bought(api, acme, stored):
    version = on_sale(acme.tenant)
    subscription = subscribed(acme.tenant, starts_at=now() - timedelta(days=1))
    api.post("/v1/events", call("k1"))
    stored()

    version_draft(tenant=acme.tenant, plan="standard")
    version_publish(tenant=acme.tenant, plan="standard", version=2)

    state = api.get("/v1/events/k1").json()
    assert state["event"]["context"] == {
        "subscription_id": str(subscription.pk),
        "plan_version_id": str(version.pk),
        "product": "standard",
    }
    assert state["steps"][2]["outcome"] == "found"


def test_an_events_page_shows_each_step(api, acme, stored):
    meter(acme.tenant, "tokens", "SUM", event_name="api.call", group_by=["model"])
    api.post("/v1/events", call("k1", 7, properties={"model": "m1"}, timestamp=instant_text(now())))
    stored()

    state = api.get("/v1/events/k1").json()

    hour = instant_text(now().replace(minute=0, second=0, microsecond=0))
    assert [(step["step"], step["outcome"]) for step in state["steps"]] == [
        ("validate", "passed"),
        ("deduplicate", "first"),
        ("enrich", "no subscription"),
        ("route", "routed"),
        ("aggregate", "counted"),
    ]
    assert state["steps"][4]["detail"] == (
        f"api.call (COUNT) in the hour {hour}; tokens (SUM) in the hour {hour}, by model m1"
    )
    assert state["event"]["context"] == {"subscription_id": None, "plan_version_id": None, "product": ""}


@pytest.mark.parametrize(
    "address", ["events", "events/batch", "ingest", "ingest/batch", "ingest/events", "ingest/events/batch"]
)
def test_every_address_takes_every_shape(api, acme, stored, address):
    for body in (call("one"), [call("two")], {"events": [call("three"), call("four")]}):
        assert api.post(f"/v1/{address}", body).status_code == 202
    lines = b"\n".join(json.dumps(call(key)).encode() for key in ("five", "six"))
    assert api.post(f"/v1/{address}", lines, content_type="application/x-ndjson").json()["accepted"] == 2
    stored()

    assert tally(acme) == {"received": 6, "accepted": 6}


def test_a_compressed_body(api, acme, stored):
    body = gzip.compress(json.dumps([call(f"k{number}") for number in range(1_000)]).encode())

    answer = api.post("/v1/events", body, Content_Encoding="gzip")
    stored()

    assert answer.json() == {"accepted": 1000, "duplicates": 0, "rejected": 0, "failed": 0, "events": []}
    assert tally(acme) == {"received": 1000, "accepted": 1000}


def test_a_cloud_event_in_binary_mode(api, acme, stored):
    answer = api.post(
        "/v1/events",
        {"quantity": 3, "model": "gpt-4o"},
        **{
            "ce-specversion": "1.0",
            "ce-id": "ce-1",
            "ce-source": "/gateway",
            "ce-type": "api.call",
            "ce-subject": "cust_abc",
        },
    )
    stored()

    assert answer.status_code == 202
    event = api.get("/v1/events/ce-1").json()["event"]
    assert (event["quantity"], event["source"], event["properties"]) == ("3", "/gateway", {"model": "gpt-4o"})


@pytest.mark.promise("P91")
def test_a_meter_call_names_the_customer_as_the_callers_tenant(api, acme, stored):
    body = {
        "tenantId": "cust_abc",
        "metricKey": "api.call",
        "quantity": "0.25",
        "properties": {"model": "gpt-4o", "temperature": 0.7},
    }

    answer = api.post("/v1/meter", body, Idempotency_Key="m1")
    stored()

    assert answer.json()["events"] == [{"index": 0, "idempotency_key": "m1", "status": "accepted"}]
    event = api.get("/v1/events/m1").json()["event"]
    assert (event["customer_id"], event["quantity"]) == ("cust_abc", "0.25")
    assert event["properties"] == {"model": "gpt-4o", "temperature": 0.7}


@pytest.mark.promise("P91")
def test_zero_counts_and_below_zero_only_where_the_meter_allows_it(api, acme, stored):
    meter(acme.tenant, "balance", "SUM", allows_negative=True)

    assert api.post("/v1/meter", call("k0", 0)).status_code == 202
    assert api.post("/v1/meter", call("k1", -1)).json()["code"] == "quantity_negative"
    assert api.post("/v1/meter", call("k2", "-0.5", metric="balance")).status_code == 202
    stored()

    assert api.get("/v1/usage", customer_id="cust_abc", metric="balance").json()["quantity"] == "-0.5"
    assert api.get("/v1/events/k1").json()["status"] == "refused"


def test_a_compound_request_is_an_event_a_measurement(api, acme, stored):
    meter(acme.tenant, "tokens", "SUM")
    body = {
        "correlationId": "req_1",
        "customerId": "cust_abc",
        "metadata": {"model": "gpt-4o"},
        "measurements": [
            {"metricName": "tokens", "quantity": 1154, "dimensionKey": "in"},
            {"metricName": "tokens", "quantity": 211, "dimensionKey": "out"},
            {"metricName": "unknown", "quantity": 1},
        ],
    }

    answer = api.post("/v1/ingest/compound", body).json()
    stored()

    assert (answer["accepted"], answer["rejected"]) == (2, 1)
    assert [(row["index"], row["idempotency_key"], row["code"]) for row in answer["events"]] == [
        (2, "req_1:unknown", "metric_unknown")
    ]
    # 1154 + 211
    assert api.get("/v1/usage", customer_id="cust_abc", metric="tokens").json()["quantity"] == "1365"
    assert api.get("/v1/events/req_1:tokens:in").json()["event"]["quantity"] == "1154"


@pytest.mark.promise("P22", "P96")
def test_a_retry_is_answered_and_counted_as_a_duplicate(api, acme, stored):
    first = api.post("/v1/events", call("k1"), Idempotency_Key="not used")
    before_it_is_stored = api.post("/v1/events", call("k1"))
    stored()
    after = api.post("/v1/events", call("k1"))
    stored()

    assert first.json()["accepted"] == before_it_is_stored.json()["accepted"] == 1
    assert after.status_code == 202
    assert after.json()["events"] == [{"index": 0, "idempotency_key": "k1", "status": "duplicate"}]
    assert tally(acme) == {"received": 3, "accepted": 1, "duplicates": 2}
    assert api.get("/v1/usage", customer_id="cust_abc", metric="api.call").json()["quantity"] == "1"


@pytest.mark.promise("P22", "P99")
def test_a_writer_quicker_than_the_answer_makes_no_duplicate(api, acme, stored, monkeypatch):
    def append_and_write(submission, meanwhile):
        durability = log.append(submission)
        stored()
        return durability

    monkeypatch.setattr("metering.services.events.append", append_and_write)
    assert api.post("/v1/events", call("e1")).json()["accepted"] == 1


def test_a_batch_is_told_what_came_twice_or_contradicts(api, acme, stored):
    answer = api.post("/v1/events", [call("k1"), call("k2"), call("k1"), call("k2", 5)]).json()
    stored()

    assert (answer["accepted"], answer["duplicates"], answer["rejected"], answer["failed"]) == (2, 1, 1, 1)
    assert [(row["index"], row["status"], row.get("code")) for row in answer["events"]] == [
        (2, "duplicate", None),
        (3, "rejected", "idempotency_conflict"),
    ]
    assert tally(acme) == {"received": 4, "accepted": 2, "duplicates": 1, "dead_letters": 1}


def test_a_conflict_is_409_and_the_first_stands(api, acme, stored):
    api.post("/v1/events", call("k1", 1))
    stored()

    answer = api.post("/v1/events", call("k1", 2))
    stored()

    assert answer.status_code == 409
    assert answer.json()["type"] == "https://aforo.space/problems/idempotency-conflict"
    assert answer.json()["idempotency_key"] == "k1"
    state = api.get("/v1/events/k1").json()
    assert (state["status"], state["event"]["quantity"]) == ("stored", "1")
    assert [refusal["code"] for refusal in state["refusals"]] == ["idempotency_conflict"]


def test_keys_are_told_where_the_sender_gave_none(api):
    rows = api.post("/v1/events", [call("k1"), {"metric": "api.call", "customer_id": "cust_abc"}]).json()[
        "events"
    ]

    assert [(row["index"], row["idempotency_key"][:4]) for row in rows] == [(1, "gen_")]


def test_a_batch_takes_its_keys_from_the_header_and_verbose_tells_all(api):
    event = {"metric": "api.call", "customer_id": "cust_abc"}

    answer = api.post("/v1/events?verbose=true", [event, event], Idempotency_Key="b")

    assert [(row["idempotency_key"], row["status"]) for row in answer.json()["events"]] == [
        ("b:0", "accepted"),
        ("b:1", "accepted"),
    ]


@pytest.mark.parametrize("key", ["a/b//c", "batch", "100% sure?", "ключ é", "a" * 255, "."])
def test_any_printable_key_has_an_address(api, stored, key):
    api.post("/v1/events", {"metric": "api.call", "customer_id": "cust_abc"}, Idempotency_Key=_header(key))
    stored()

    state = api.get(f"/v1/events/{quote(key, safe='')}").json()
    assert state["status"] == "stored"
    assert state["idempotency_key"] == key


def _header(text: str) -> str:
    """As a server hands over the bytes of a header that a sender wrote in UTF-8."""
    return text.encode().decode("latin-1")


def test_a_key_is_known_while_it_waits_in_the_log(api, other, settings):
    api.post("/v1/events", [call("in the body"), call("ключ"), call("nobody's", customer_id="nobody")])
    event = {"metric": "api.call", "customer_id": "cust_abc"}
    api.post("/v1/events", [event, event], Idempotency_Key="header")

    for key in ("in the body", "ключ", "header:1"):
        assert api.get(f"/v1/events/{key}").json()["status"] == "accepted"
        assert Api(other.key).get(f"/v1/events/{key}").status_code == 404
    for key in ("header:2", "header", "nobody's", "gen_0000000000000000"):
        assert api.get(f"/v1/events/{key}").status_code == 404

    settings.LOG_REDIS_URL = "redis://127.0.0.1:1/0"
    answer = api.get("/v1/events/header:1")
    assert (answer.status_code, answer["Retry-After"]) == (404, "1")


@pytest.mark.promise("P25")
def test_older_than_a_day_is_accepted_and_flagged(api, acme, stored):
    received_at = now()
    day_old = instant_text(received_at - timedelta(hours=24))
    older = instant_text(received_at - timedelta(hours=24, seconds=1))

    with clock_at(received_at):
        rows = api.post("/v1/events", [call("k1", timestamp=day_old), call("k2", timestamp=older)]).json()[
            "events"
        ]
    stored()

    assert rows == [{"index": 1, "idempotency_key": "k2", "status": "accepted", "late": True}]
    assert api.get("/v1/events/k1").json()["event"]["is_late"] is False
    assert api.get("/v1/events/k2").json()["event"]["is_late"] is True
    assert tally(acme) == {"received": 2, "accepted": 2, "late": 1}


@pytest.mark.promise("P24", "P68")
@pytest.mark.parametrize(
    ("distance", "code"),
    [
        (timedelta(minutes=5), None),
        (timedelta(minutes=5, seconds=1), "timestamp_in_future"),
        (-timedelta(days=90), None),
        (-timedelta(days=90, seconds=1), "timestamp_too_old"),
    ],
)
def test_drift_and_age_have_exact_bounds(api, acme, stored, distance, code):
    received_at = now()

    with clock_at(received_at):
        answer = api.post("/v1/events", call("k1", timestamp=instant_text(received_at + distance)))
    stored()

    if code is None:
        assert answer.status_code == 202
        assert Event.objects.count() == 1
    else:
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert list(DeadLetter.objects.values_list("code", "idempotency_key")) == [(code, "k1")]
        assert Event.objects.count() == 0


@pytest.mark.promise("P11")
def test_a_tenant_header_that_disagrees_is_403_and_nothing_is_kept(api, acme, stored):
    answer = api.post("/v1/events", QUICK_START, X_Tenant_Id="other")
    stored()

    assert (answer.status_code, answer.json()["code"]) == (403, "tenant_mismatch")
    assert tally(acme) == {}
    assert api.post("/v1/events", QUICK_START).status_code == 202


def test_events_are_listed_by_customer_metric_and_time(api, acme, stored):
    customer(acme.tenant, "cust_two")
    meter(acme.tenant, "tokens", "SUM")
    start = now() - timedelta(hours=10)
    # Three at the same instant, so that a page ends inside of it.
    sent = [call(f"same{number}", timestamp=instant_text(start)) for number in range(3)]
    sent += [call(f"hour{hour}", timestamp=instant_text(start + timedelta(hours=hour))) for hour in (1, 2)]
    sent += [call("tokens", metric="tokens"), call("two", customer_id="cust_two")]
    api.post("/v1/events", sent)
    stored()

    def keys(**query):
        return [row["idempotency_key"] for row in api.get("/v1/events", **query).json()["data"]]

    assert keys(metric="tokens") == ["tokens"]
    assert keys(customer_id="cust_two") == ["two"]
    of_hours = {
        "customer_id": "cust_abc",
        "metric": "api.call",
        "start": instant_text(start + timedelta(hours=1)),
    }
    assert keys(**of_hours) == ["hour2", "hour1"]
    assert keys(**of_hours, end=instant_text(start + timedelta(hours=2))) == ["hour1"]

    walked, address = [], "/v1/events?limit=2&customer_id=cust_abc"
    while address:
        page = api.get(address).json()
        assert len(page["data"]) <= 2
        walked += [row["idempotency_key"] for row in page["data"]]
        address = page["next"]
    assert walked[:3] == ["tokens", "hour2", "hour1"]
    assert sorted(walked[3:]) == ["same0", "same1", "same2"]


@pytest.mark.parametrize(
    "query",
    [
        {"limit": 0},
        {"limit": 201},
        {"limit": "x"},
        {"cursor": "x"},
        {"cursor": "é"},
        {"start": "2026-03-01"},
        {"start": "2026-03-01T00:00:00"},
        {"start": "2026-03-02T00:00:00Z", "end": "2026-03-01T00:00:00Z"},
        {"customer_id": "a\0"},
    ],
)
def test_wrong_filters_are_named(api, query):
    answer = api.get("/v1/events", **query)

    assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid")


def test_another_tenants_events_are_404_and_not_listed(api, other, stored):
    api.post("/v1/events", call("k1"))
    stored()

    assert Api(other.key).get("/v1/events/k1").status_code == 404
    assert Api(other.key).get("/v1/events").json() == {"data": [], "next": None}


def test_a_key_may_only_ask_at_its_rate(acme, redis_empty, stored):
    _, key = api_key_create(tenant=acme.tenant, name="slow", rate_limit_per_s=1)
    slow = Api(key)

    answers = [slow.post("/v1/events", call(f"k{number}")) for number in range(3)]
    stored()

    # A burst of two seconds' worth passes.
    assert [answer.status_code for answer in answers] == [202, 202, 429]
    assert answers[0]["RateLimit-Limit"] == "1"
    assert answers[0]["RateLimit-Remaining"] == "1"
    assert answers[2]["Retry-After"] == "1"
    assert answers[2].json()["code"] == "rate_limited"
    assert tally(acme) == {"received": 2, "accepted": 2}


def test_without_the_log_events_go_to_the_store(api, acme, settings):
    settings.LOG_REDIS_URL = "redis://127.0.0.1:1/0"

    answer = api.post("/v1/events", call("k1"))

    assert (answer.status_code, answer["Aforo-Durability"]) == (202, "store")


def test_with_nothing_durable_the_sender_is_asked_to_wait(api, acme, settings, monkeypatch):
    def away(*args, **kwargs):
        raise log.StoreError("the store is away")

    settings.LOG_REDIS_URL = "redis://127.0.0.1:1/0"
    monkeypatch.setattr(log, "entry_insert", away)

    for body in (call("k1"), call("k1", customer_id="nobody"), b"{"):
        answer = api.post("/v1/events", body)
        assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
        assert int(answer["Retry-After"]) > 0


@pytest.mark.promise("P23")
def test_a_whole_period_sent_again_changes_no_usage(api, acme, stored):
    sent = [
        call(f"k{number}", number, timestamp=instant_text(now() - timedelta(hours=number)))
        for number in range(40)
    ]
    meter(acme.tenant, "tokens", "SUM", event_name="api.call")
    month = {"customer_id": "cust_abc", "metric": "tokens", "start": instant_text(now() - timedelta(days=3))}
    api.post("/v1/events", sent)
    stored()
    before = api.get("/v1/usage", **month, window="day").json()

    again = api.post("/v1/ingest/batch", {"events": list(reversed(sent))}).json()
    stored()

    assert (again["accepted"], again["duplicates"]) == (0, 40)
    after = api.get("/v1/usage", **month, window="day").json()
    # 0 + 1 + … + 39
    assert before["quantity"] == after["quantity"] == "780"
    # Those of 24 to 39 hours ago are late.
    assert tally(acme) == {"received": 80, "accepted": 40, "duplicates": 40, "late": 16}


@pytest.mark.promise("P22")
@pytest.mark.django_db(transaction=True)
def test_one_key_from_many_senders_at_once_is_one_event(redis_empty):
    acme = workspace()

    def send(sender: int) -> int:
        try:
            return Api(acme.key).post("/v1/events", [call("k1"), call(f"own{sender}")]).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(24)))
    Writer(0).drain()

    assert answers == [202] * 24
    assert Event.objects.filter(key="k1").count() == 1
    # On a busy machine the log may miss its 0.25 s and the store takes a second copy, which counts once.
    counts = tally(acme)
    counts.pop("copies", None)
    assert counts == {"received": 48, "accepted": 25, "duplicates": 23}
