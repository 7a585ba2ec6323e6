"""Whatever is sent wrongly is answered with a clear problem, kept where it was promised, and never stored."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aforo.kernel.clock import clock_at, now
from aforo.kernel.periods import instant_text
from aforo.tenancy.models import ApiKey
from aforo.tenancy.services.api_keys import api_key_create, api_key_revoke
from metering.event import REQUIRED_FIELDS
from metering.models import DeadLetter, Event
from tests.metering.rows import call, tally

from .conftest import BOTH_WAYS, Api

pytestmark = BOTH_WAYS

MIB = 1024 * 1024


def full(**changes: Any) -> dict[str, Any]:
    """An event with all seven required fields; a change to `...` leaves one out."""
    event = {
        "idempotency_key": "k1",
        "tenant_id": "acme_corp",
        "customer_id": "cust_abc",
        "metric": "api.call",
        "quantity": "1",
        "timestamp": instant_text(now()),
        "source": "test",
        **changes,
    }
    return {name: value for name, value in event.items() if value is not ...}


@pytest.fixture
def refusals(acme, stored):
    """Let the writer read, and check that nothing was stored and that all received is a dead letter."""

    def read() -> list[DeadLetter]:
        stored()
        letters = list(DeadLetter.objects.order_by("pk"))
        assert Event.objects.count() == 0
        assert tally(acme) == ({"received": len(letters), "dead_letters": len(letters)} if letters else {})
        return letters

    return read


@pytest.mark.promise("P70", "P99")
@pytest.mark.parametrize("field", REQUIRED_FIELDS)
def test_strict_mode_misses_each_of_the_seven_fields(api, refusals, field):
    answer = api.post("/v1/events?strict=true", full(**{field: ...}))

    assert (answer.status_code, answer.json()["code"]) == (422, "fields_missing")
    assert answer.json()["missing"] == [field]
    assert answer["Content-Type"] == "application/problem+json"
    (letter,) = refusals()
    assert (letter.code, letter.facts["missing"]) == ("fields_missing", [field])


@pytest.mark.promise("P70")
def test_strict_mode_lists_all_missing_fields_at_once(api, refusals):
    answer = api.post("/v1/events?strict=true", {})

    assert answer.json()["missing"] == list(REQUIRED_FIELDS)
    assert [letter.code for letter in refusals()] == ["fields_missing"]


@pytest.mark.promise("P70")
def test_strict_mode_takes_a_full_event_and_headers_for_fields(api, acme, stored):
    assert api.post("/v1/events?strict=true", full()).status_code == 202
    by_headers = full(idempotency_key=..., tenant_id=..., source=...)
    assert (
        api.post(
            "/v1/events?strict=true",
            by_headers,
            Idempotency_Key="k2",
            X_Tenant_Id="acme_corp",
            X_Aforo_Source="sdk-go",
        ).status_code
        == 202
    )
    stored()
    assert tally(acme) == {"received": 2, "accepted": 2}


def test_a_gateways_batch_is_strict_without_asking(api, acme, stored):
    bare = {"metric": "api.call", "customer_id": "cust_abc"}
    # The five-line configuration of a gateway has no tenant; that alone comes from the key.
    whole = full(tenant_id=..., source=...)

    answer = api.post("/v1/events", [bare, whole], X_Aforo_Source="kong").json()
    stored()

    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    assert answer["events"][0]["facts"]["missing"] == ["idempotency_key", "quantity", "timestamp"]
    assert tally(acme) == {"received": 2, "accepted": 1, "dead_letters": 1}


def deep(levels: int) -> bytes:
    """A body of so many levels: the event, its properties' lists inside one another."""
    nested = b"[" * (levels - 1) + b"]" * (levels - 1)
    return b'{"idempotency_key":"k1","metric":"api.call","customer_id":"cust_abc","deep":' + nested + b"}"


# What is sent, and the status, code and key of its one dead letter. None: a body, which has no key.
WRONG: dict[str, tuple[Any, dict[str, str], int, str, str | None]] = {
    "unknown metric": (call("k1", metric="api.cal"), {}, 422, "metric_unknown", "k1"),
    "unknown customer": (call("k1", customer_id="cust_x"), {}, 422, "customer_unknown", "k1"),
    "no customer": ({"metric": "api.call", "idempotency_key": "k1"}, {}, 422, "fields_missing", "k1"),
    "nothing": ({}, {}, 422, "fields_missing", "gen_"),
    "text for a number": (call("k1", "many"), {}, 422, "field_invalid", "k1"),
    "a list for a number": (call("k1", [1]), {}, 422, "field_invalid", "k1"),
    "true for a number": (call("k1", True), {}, 422, "field_invalid", "k1"),
    "a number for a customer": (call("k1", customer_id=7), {}, 422, "field_invalid", "k1"),
    "NaN as text": (call("k1", "NaN"), {}, 422, "field_invalid", "k1"),
    "infinity as text": (call("k1", "Infinity"), {}, 422, "field_invalid", "k1"),
    "29 digits": (call("k1", "1." + "2" * 28), {}, 422, "field_invalid", "k1"),
    "19 digits before the point": (call("k1", "1" * 19), {}, 422, "field_invalid", "k1"),
    "1e400": (call("k1", "1e400"), {}, 422, "field_invalid", "k1"),
    "below zero": (call("k1", -1), {}, 422, "quantity_negative", "k1"),
    "no zone": (call("k1", timestamp="2026-03-01T00:00:00"), {}, 422, "field_invalid", "k1"),
    "no time": (call("k1", timestamp="yesterday"), {}, 422, "field_invalid", "k1"),
    "a long key": (call("k" * 256), {}, 422, "field_invalid", None),
    "a key of no characters": (call(""), {}, 422, "field_invalid", None),
    "a key that cannot be printed": (call("a\nb"), {}, 422, "field_invalid", None),
    "NUL": (call("k1", note="a\0b"), {}, 422, "field_invalid", None),
    "half a surrogate pair": (
        b'{"metric":"api.call","customer_id":"cust_abc","note":"\\ud800"}',
        {},
        422,
        "field_invalid",
        None,
    ),
    "another tenant in the event": (call("k1", tenant_id="other"), {}, 403, "tenant_mismatch", "k1"),
    "properties that are a list": (call("k1", properties=[1]), {}, 422, "field_invalid", "k1"),
    "NaN": (
        b'{"metric":"api.call","customer_id":"cust_abc","quantity":NaN}',
        {},
        400,
        "body_unreadable",
        None,
    ),
    "no JSON": (b"{", {}, 400, "body_unreadable", None),
    "not UTF-8": (b'{"metric":"\xff"}', {}, 400, "body_unreadable", None),
    "a key twice": (b'{"metric":"a","metric":"b"}', {}, 400, "body_unreadable", None),
    "a number": (b"7", {}, 400, "body_unreadable", None),
    "33 levels": (deep(33), {}, 400, "body_too_deep", None),
    "100,000 levels": (b"[" * 100_000, {}, 400, "body_too_deep", None),
    "no body": (b"", {}, 400, "body_unreadable", None),
    "an empty batch": ([], {}, 400, "batch_empty", None),
    "an empty list of events": ({"events": []}, {}, 400, "batch_empty", None),
    "10,001 events": (b"[" + b"{}," * 10_000 + b"{}]", {}, 413, "batch_too_large", None),
    "11 MiB": (b'"' + b"x" * (11 * MIB) + b'"', {}, 413, "body_too_large", None),
    "a bomb": (
        zlib.compress(b" " * (50 * MIB), wbits=31),
        {"Content_Encoding": "gzip"},
        413,
        "body_too_large",
        None,
    ),
    "broken gzip": (b"\x1f\x8b nothing", {"Content_Encoding": "gzip"}, 400, "encoding_broken", None),
    "half a gzip": (
        gzip.compress(b"{}" * 500)[:-9],
        {"Content_Encoding": "gzip"},
        400,
        "encoding_broken",
        None,
    ),
    "brotli": (b"x", {"Content_Encoding": "br"}, 415, "encoding_unsupported", None),
    "gzip in gzip": (b"x", {"Content_Encoding": "gzip, gzip"}, 415, "encoding_unsupported", None),
    "broken zstd": (b"x", {"Content_Encoding": "zstd"}, 400, "encoding_broken", None),
    "broken lz4": (b"x", {"Content_Encoding": "lz4"}, 400, "encoding_broken", None),
    "XML": (b"<event/>", {"content_type": "text/xml"}, 415, "media_type_unsupported", None),
    "a picture": (
        b"\x89PNG",
        {"content_type": "multipart/form-data; boundary=x"},
        415,
        "media_type_unsupported",
        None,
    ),
    "Latin-1": (
        b"{}",
        {"content_type": "application/json; charset=latin-1"},
        415,
        "media_type_unsupported",
        None,
    ),
    "one bad line": (
        b'{"metric":"api.call","customer_id":"cust_abc"}\n{',
        {"content_type": "application/x-ndjson"},
        400,
        "body_unreadable",
        None,
    ),
}


@pytest.mark.promise("P26", "P99")
@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_and_kept(api, refusals, case):
    body, headers, status, code, key = WRONG[case]

    answer = api.post("/v1/events", body, **headers)

    document = answer.json()
    assert (answer.status_code, document["status"], document["code"]) == (status, status, code)
    assert document["type"] == "https://aforo.space/problems/" + code.replace("_", "-")
    assert answer["Content-Type"] == "application/problem+json"
    assert document["detail"].endswith(".")
    (letter,) = refusals()
    assert (letter.code, letter.detail) == (code, document["detail"])
    if key is not None:
        assert document["idempotency_key"].startswith(key)
        assert letter.idempotency_key == document["idempotency_key"]


@pytest.mark.promise("P26")
def test_of_a_body_that_is_too_large_length_hash_and_head_are_kept(api, refusals):
    body = b"[" + b'"0123456789abcde",' * 700_000 + b"1]"

    assert api.post("/v1/events", body).status_code == 413

    (letter,) = refusals()
    # 1 + 700,000 x 18 + 2
    assert letter.payload_length == 12_600_003
    assert bytes(letter.payload) == body[: 64 * 1024]
    assert api.get(f"/v1/dead-letters/{letter.pk}").json()["payload"] == body[: 64 * 1024].decode()
    replay = api.post(f"/v1/dead-letters/{letter.pk}/replay")
    assert (replay.status_code, replay.json()["code"]) == (409, "state_conflict")


def test_depth_32_and_10_mib_are_read(api, acme, stored):
    assert api.post("/v1/events", deep(32)).status_code == 202
    shell = json.dumps(call("k2", note="")).encode()
    body = shell.replace(b'"note": ""', b'"note": "%s"' % (b"x" * (10 * MIB - len(shell))))
    assert len(body) == 10 * MIB
    assert api.post("/v1/events", body).status_code == 202
    stored()

    # On a busy disk 10 MiB may time out in the log and go to the store as well: a copy, which counts nowhere else.
    assert tally(acme) | {"copies": 0} == {"received": 2, "accepted": 2, "copies": 0}


@pytest.mark.promise("P24", "P25", "P68")
@pytest.mark.parametrize(
    ("distance", "verdict"),
    [
        (timedelta(minutes=5), "accepted"),
        (timedelta(minutes=5, seconds=1), "timestamp_in_future"),
        (-timedelta(hours=24), "accepted"),
        (-timedelta(hours=24, seconds=1), "late"),
        (-timedelta(days=90), "late"),
        (-timedelta(days=90, seconds=1), "timestamp_too_old"),
    ],
)
def test_time_has_exact_bounds_in_a_batch_too(api, acme, stored, distance, verdict):
    received_at = now()

    with clock_at(received_at):
        answer = api.post(
            "/v1/events?verbose=1", [call("k1", timestamp=instant_text(received_at + distance))]
        )
    stored()

    (row,) = answer.json()["events"]
    assert answer.status_code == 202
    assert row.get("code", "late" if row.get("late") else row["status"]) == verdict
    is_accepted = verdict in {"accepted", "late"}
    assert Event.objects.count() == is_accepted
    assert DeadLetter.objects.count() == (not is_accepted)


def test_of_a_batch_the_good_are_stored_and_the_bad_are_kept(api, acme, stored):
    batch = [call("k0"), call("k1", customer_id="cust_x"), "no event", call("k3", "NaN"), call("k4")]

    answer = api.post("/v1/events", batch).json()
    stored()

    assert (answer["accepted"], answer["rejected"], answer["failed"]) == (2, 3, 3)
    assert [(row["index"], row["code"]) for row in answer["events"]] == [
        (1, "customer_unknown"),
        (2, "field_invalid"),
        (3, "field_invalid"),
    ]
    assert tally(acme) == {"received": 5, "accepted": 2, "dead_letters": 3}
    conservation = api.get("/v1/usage/conservation").json()
    assert conservation == {
        "received": 5,
        "accepted": 2,
        "duplicates": 0,
        "dead_letters": 3,
        "late": 0,
        "waiting": 0,
        "is_conserved": True,
    }


class TestWithoutAKeyThatMaySend:
    """Nobody's event is kept: neither stored nor a dead letter."""

    @pytest.fixture(autouse=True)
    def nothing_is_kept(self, acme, redis_empty, stored):
        yield
        stored()
        assert tally(acme) == {}
        assert not DeadLetter.objects.exists()

    @pytest.mark.parametrize(
        ("header", "code"),
        [
            (None, "key_missing"),
            ("Bearer", "key_missing"),
            ("Basic YTpi", "key_missing"),
            ("Bearer sk_live_" + "x" * 40, "key_unknown"),
            ("Bearer sk_live_é", "key_unknown"),
        ],
    )
    def test_no_or_an_unknown_key(self, acme, header, code):
        api = Api(None, **({"Authorization": header.encode().decode("latin-1")} if header else {}))

        answer = api.post("/v1/events", call("k1"))

        assert (answer.status_code, answer.json()["code"]) == (401, code)
        assert answer["WWW-Authenticate"] == 'Bearer realm="aforo"'

    def test_a_revoked_key(self, api, acme):
        api_key_revoke(tenant=acme.tenant, key_id=ApiKey.objects.get(tenant=acme.tenant).pk)

        answer = api.post("/v1/events", call("k1"))

        assert (answer.status_code, answer.json()["code"]) == (401, "key_revoked")

    @pytest.mark.parametrize("door", ["events", "meter", "ingest", "ingest/compound"])
    def test_a_key_without_the_scope(self, acme, door):
        _, key = api_key_create(tenant=acme.tenant, name="reader", scopes=["read"])

        answer = Api(key).post(f"/v1/{door}", call("k1"))

        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")

    def test_another_tenants_header(self, api):
        answer = api.post("/v1/events", call("k1"), X_Tenant_Id="other")

        assert (answer.status_code, answer.json()["code"]) == (403, "tenant_mismatch")

    def test_another_method(self, api):
        answer = api.get("/v1/ingest")

        assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")

    def test_an_address_with_nul(self, api):
        for address in ("/v1/events/a%00b", "/v1/meters/%00", "/v1/%00"):
            assert api.get(address).status_code == 404


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["metric", "customer_id", "quantity", "timestamp", "id", "properties", "events", "x"]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
CONTENT_TYPES = [
    "application/json",
    "application/x-ndjson",
    "application/cloudevents+json",
    "application/cloudevents-batch+json",
    "text/plain",
    "",
]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=st.binary(max_size=300) | json_like.map(lambda value: json.dumps(value).encode()),
    content_type=st.sampled_from(CONTENT_TYPES),
    encoding=st.sampled_from([None, "gzip", "zstd", "lz4", "br", "identity"]),
    door=st.sampled_from(["events", "meter", "ingest/compound"]),
    strict=st.booleans(),
    key=st.none() | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=20),
)
def test_no_body_is_a_fault_of_ours(api, acme, body, content_type, encoding, door, strict, key):
    headers = {} if key is None else {"Idempotency_Key": key}
    headers |= {} if encoding is None else {"Content_Encoding": encoding}

    answer = api.post(f"/v1/{door}?strict={strict}", body, content_type=content_type, **headers)

    assert answer.status_code in {202, 400, 409, 413, 415, 422}, answer.content
    if answer.status_code != 202:
        assert answer.json()["code"]
