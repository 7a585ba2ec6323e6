"""Signed webhooks: whose delivery it is, what it says, and that a copy of it counts nothing twice."""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from aforo.kernel.clock import clock_at, now
from aforo.tenancy.services.api_keys import api_key_create
from metering.models import DeadLetter, Event, WebhookSource
from tests.metering.rows import call, tally

from .conftest import Api

MAPPING = {
    "customer_id": "data.account",
    "metric": "=api.call",
    "quantity": "data.units",
    "properties.model": "data.model",
}
PAYLOAD = {"type": "usage", "data": {"account": "cust_abc", "units": 3, "model": "gpt-4o", "secret": "x"}}


@pytest.fixture
def source(api):
    """A source under MAPPING: its address, id and secret."""
    return made(api, name="Orders", mapping=MAPPING)


def made(api: Api, **terms: Any) -> dict[str, Any]:
    answer = api.post("/v1/webhook-sources", {"name": "Orders", **terms})
    assert answer.status_code == 201, answer.content
    return answer.json()


def content(payload: Any) -> bytes:
    return payload if isinstance(payload, bytes) else json.dumps(payload).encode()


def signed(secret: str, payload: Any, *, message_id: str = "msg_1", at: Any = None) -> dict[str, str]:
    """Headers as the reference library signs them."""
    at = at or now()
    signature = Webhook(secret).sign(msg_id=message_id, timestamp=at, data=content(payload).decode("latin-1"))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": signature,
    }


def signed_by_hand(secret: str, payload: Any, *, timestamp: str) -> dict[str, str]:
    """Of bytes, and at times, that the library does not sign."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.digest(key, f"msg_1.{timestamp}.".encode() + content(payload), "sha256")
    signature = "v1," + base64.b64encode(digest).decode()
    return {"webhook-id": "msg_1", "webhook-timestamp": timestamp, "webhook-signature": signature}


def plain(secret: str, payload: Any) -> dict[str, str]:
    return {
        "X-Signature": "sha256=" + hmac.new(secret.encode(), content(payload), hashlib.sha256).hexdigest()
    }


def deliver(source: dict[str, Any], payload: Any, headers: dict[str, str], **more: str) -> Any:
    return Api(None).post(source["address"], content(payload), **headers, **more)


def test_a_signed_delivery_is_an_event_by_the_sources_mapping(api, acme, source, stored):
    answer = deliver(source, PAYLOAD, signed(source["secret"], PAYLOAD))
    stored()

    assert answer.status_code == 202
    assert answer["Aforo-Durability"] == "log"
    (row,) = answer.json()["events"]
    assert row["idempotency_key"] == source["address"].rpartition("/")[2] + ":msg_1"
    event = api.get(f"/v1/events/{row['idempotency_key']}").json()["event"]
    assert (event["customer_id"], event["quantity"]) == ("cust_abc", "3")
    # What no entry names stays behind.
    assert event["properties"] == {"model": "gpt-4o"}
    assert event["source"] == "webhook:" + source["address"].rpartition("/")[2]
    assert api.get(f"/v1/webhook-sources/{source['id']}").json()["last_used_at"] is not None


def test_a_delivery_that_is_tried_again_counts_once(api, acme, source, stored):
    for _ in range(3):
        assert deliver(source, PAYLOAD, signed(source["secret"], PAYLOAD)).status_code == 202
    deliver(source, PAYLOAD, signed(source["secret"], PAYLOAD, message_id="msg_2"))
    stored()

    assert tally(acme) == {"received": 4, "accepted": 2, "duplicates": 2}


def test_without_a_mapping_a_body_is_one_of_the_events_endpoint(api, acme, stored):
    source = made(api)
    batch = [call("k1"), {"metric": "api.call", "customer_id": "cust_abc"}]

    deliver(source, batch, signed(source["secret"], batch))
    stored()

    name = source["address"].rpartition("/")[2]
    assert sorted(Event.objects.values_list("key", flat=True)) == sorted(["k1", f"{name}:msg_1:1"])


def test_the_plain_scheme_knows_a_copy_by_its_body(api, acme, stored):
    source = made(api, scheme="plain", mapping=MAPPING, secret="chosen by the other side")
    assert source["secret"] == "chosen by the other side"
    other = {**PAYLOAD, "id": 2}
    for payload in (PAYLOAD, PAYLOAD, other):
        assert deliver(source, payload, plain(source["secret"], payload)).status_code == 202
    stored()

    assert tally(acme) == {"received": 3, "accepted": 2, "duplicates": 1}
    assert deliver(source, PAYLOAD, plain("another secret of it", PAYLOAD)).status_code == 401
    # Signed by the other scheme, it is not signed.
    assert deliver(made(api), PAYLOAD, plain(source["secret"], PAYLOAD)).status_code == 401


def test_a_list_in_the_payload_is_an_event_an_item(api, acme, stored):
    mapping = {"events": "items", "customer_id": "account", "metric": "=api.call", "idempotency_key": "id"}
    source = made(api, mapping=mapping)
    payload = {"account": "cust_abc", "items": [{"id": "a"}, {"id": "b"}, {"account": "nobody"}]}

    answer = deliver(source, payload, signed(source["secret"], payload))
    stored()

    assert (answer.json()["accepted"], answer.json()["rejected"]) == (2, 1)
    letter = DeadLetter.objects.get()
    assert (letter.code, letter.customer) == ("customer_unknown", "nobody")
    # Sent again as received, under the mapping it came with; then as corrected.
    assert api.post(f"/v1/dead-letters/{letter.pk}/replay").json()["status"] == "NEW"
    corrected = {"payload": {"account": "cust_abc"}}
    assert api.post(f"/v1/dead-letters/{letter.pk}/replay", corrected).json()["status"] == "REPLAYED"
    assert tally(acme) == {"received": 3, "accepted": 3}


def test_a_refused_event_is_kept_and_the_sender_has_nothing_to_repeat(api, acme, source, stored):
    wrong = {"data": {"account": "nobody", "units": 1}}

    answer = deliver(source, wrong, signed(source["secret"], wrong))
    stored()

    assert (answer.status_code, answer.json()["rejected"]) == (202, 1)
    assert answer.json()["events"][0]["code"] == "customer_unknown"
    letter = api.get("/v1/dead-letters").json()["data"][0]
    assert api.get(f"/v1/dead-letters/{letter['id']}").json()["payload"] == wrong
    assert letter["api_key_id"] == source["id"]


def test_a_compressed_delivery_is_signed_as_it_is_sent(api, acme, source, stored):
    packed = gzip.compress(content(PAYLOAD))
    headers = signed_by_hand(source["secret"], packed, timestamp=str(int(now().timestamp())))
    assert deliver(source, packed, headers, Content_Encoding="gzip").json()["accepted"] == 1


class TestNobodyElse:
    """What is not signed by the source's secret is nobody's: neither stored nor a dead letter."""

    @pytest.fixture(autouse=True)
    def nothing_is_kept(self, acme, stored):
        yield
        stored()
        assert tally(acme) == {}

    def test_an_unsigned_a_wrong_and_an_unknown_one_are_answered_alike(self, api, source):
        good = signed(source["secret"], PAYLOAD)
        elsewhere = {**source, "address": "/v1/ingest/webhook/nowhere"}
        answers = [
            deliver(source, PAYLOAD, {}),
            deliver(source, {**PAYLOAD, "more": 1}, good),
            deliver(source, PAYLOAD, {**good, "webhook-id": "msg_2"}),
            deliver(source, PAYLOAD, signed("whsec_" + "QUJD" * 8, PAYLOAD)),
            deliver(elsewhere, PAYLOAD, good),
        ]
        assert {answer.status_code for answer in answers} == {401}
        assert len({answer.content for answer in answers}) == 1
        assert answers[0].json()["code"] == "signature_invalid"

    def test_an_api_key_does_not_stand_for_the_signature(self, api, source):
        assert api.post(source["address"], PAYLOAD).status_code == 401

    def test_another_tenants_secret_never_verifies(self, api, other, source):
        theirs = made(Api(other.key))
        assert deliver(source, PAYLOAD, signed(theirs["secret"], PAYLOAD)).status_code == 401

    @pytest.mark.parametrize(("seconds", "status"), [(-301, 401), (301, 401), (-302, 401), (86400, 401)])
    def test_a_delivery_outside_the_window_is_too_old(self, api, source, seconds, status):
        at = now().replace(microsecond=0)
        headers = signed(source["secret"], PAYLOAD, at=at + timedelta(seconds=seconds))
        with clock_at(at):
            answer = deliver(source, PAYLOAD, headers)
        assert (answer.status_code, answer.json()["code"]) == (status, "signature_expired")

    def test_a_delivery_without_an_id_or_a_time_is_not_signed(self, api, source):
        at = now()
        nameless = signed(source["secret"], PAYLOAD, message_id="", at=at)
        assert deliver(source, PAYLOAD, nameless).json()["code"] == "signature_invalid"
        headers = signed_by_hand(source["secret"], PAYLOAD, timestamp="noon")
        assert deliver(source, PAYLOAD, headers).json()["code"] == "signature_invalid"

    def test_a_revoked_source_is_as_good_as_unknown(self, api, source):
        revoked = api.post(f"/v1/webhook-sources/{source['id']}/revoke")
        assert revoked.json()["revoked_at"] is not None
        assert deliver(source, PAYLOAD, signed(source["secret"], PAYLOAD)).status_code == 401
        assert api.post(f"/v1/webhook-sources/{source['id']}/revoke").json() == revoked.json()
        assert api.post(f"/v1/webhook-sources/{source['id']}/rotate", {}).status_code == 409

    def test_a_body_beyond_the_limit_cannot_be_verified(self, api, source):
        assert deliver(source, b"x" * (10 * 1024 * 1024 + 1), {}).status_code == 413


def test_the_edges_of_the_window_are_inside(api, acme, source):
    at = now().replace(microsecond=0)
    for seconds in (-300, 300):
        headers = signed(
            source["secret"], PAYLOAD, message_id=str(seconds), at=at + timedelta(seconds=seconds)
        )
        with clock_at(at):
            assert deliver(source, PAYLOAD, headers).status_code == 202


def test_after_a_rotation_both_secrets_verify_until_the_overlap_ends(api, source):
    rotated = api.post(f"/v1/webhook-sources/{source['id']}/rotate", {"overlap_s": 60}).json()
    assert rotated["address"] == source["address"]
    assert rotated["secret"] != source["secret"]
    for secret in (source["secret"], rotated["secret"]):
        assert deliver(source, PAYLOAD, signed(secret, PAYLOAD)).status_code == 202

    with clock_at(now() + timedelta(seconds=61)):
        assert deliver(source, PAYLOAD, signed(source["secret"], PAYLOAD)).status_code == 401
        assert deliver(source, PAYLOAD, signed(rotated["secret"], PAYLOAD)).status_code == 202


def test_a_source_may_only_send_at_its_rate(api, acme):
    source = made(api, rate_limit_per_s=1)
    answers = []
    # A burst of two seconds' worth passes; a machine that is busy may let some more come in the meantime.
    while len(answers) < 50 and (not answers or answers[-1].status_code == 202):
        event = call(f"k{len(answers)}")
        headers = signed(source["secret"], event, message_id=str(len(answers)))
        answers.append(deliver(source, event, headers))
    assert answers[-1].status_code == 429
    assert int(answers[-1]["Retry-After"]) > 0
    assert answers[0]["RateLimit-Limit"] == "1"
    # Whoever cannot sign does not use it up.
    assert deliver(source, call("k"), {}).status_code == 401


def test_a_secret_is_shown_once_and_kept_sealed(api, acme, source):
    assert source["secret"].startswith("whsec_")
    for answer in (api.get("/v1/webhook-sources"), api.get(f"/v1/webhook-sources/{source['id']}")):
        assert answer.status_code == 200
        assert 'secret"' not in answer.content.decode()
    assert source["secret"][6:].encode() not in bytes(WebhookSource.objects.get().sealed_secret)
    again = [api.post("/v1/webhook-sources", {"name": "A"}, Idempotency_Key="once").json() for _ in range(2)]
    assert again[0]["id"] == again[1]["id"]
    assert again[1]["secret"] is None


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"mapping": {"customer": "a"}}, "mapping"),
        ({"mapping": {"quantity": "a..b"}}, "mapping"),
        ({"mapping": []}, "mapping"),
        ({"mapping": {"metric": None}}, "mapping"),
        ({"secret": "short"}, "secret"),
        ({"scheme": "plain", "secret": "short"}, "secret"),
        ({"scheme": "md5"}, "scheme"),
        ({"tolerance_s": 0}, "tolerance_s"),
        ({"tolerance": 1}, "tolerance"),
        ({"name": ""}, "name"),
    ],
)
def test_a_source_that_is_wrong_is_refused_by_field(api, terms, field):
    answer = api.post("/v1/webhook-sources", {"name": "Orders", **terms})
    assert (answer.status_code, answer.json()["code"]) == (422, "input_invalid")
    assert field in answer.json()["errors"]
    assert not WebhookSource.objects.exists()


def test_a_source_is_changed_for_deliveries_to_come(api, acme, source, stored):
    address = f"/v1/webhook-sources/{source['id']}"
    changed = api.patch(
        address, {"name": "Other", "mapping": {**MAPPING, "quantity": "=7"}, "tolerance_s": 60}
    )
    assert (changed.json()["name"], changed.json()["tolerance_s"]) == ("Other", 60)
    assert api.patch(address, {"mapping": {"x": "y"}}).status_code == 422
    assert api.patch(address, {"secret": "x"}).status_code == 422

    deliver(source, PAYLOAD, signed(source["secret"], PAYLOAD))
    stored()
    assert str(Event.objects.get().quantity.normalize()) == "7"


def test_another_tenants_sources_are_404_and_not_listed(api, other, source):
    stranger = Api(other.key)
    address = f"/v1/webhook-sources/{source['id']}"
    assert stranger.get("/v1/webhook-sources").json()["data"] == []
    assert stranger.get(address).status_code == 404
    assert stranger.patch(address, {"name": "x"}).status_code == 404
    for action in ("rotate", "revoke"):
        assert stranger.post(f"{address}/{action}", {}).status_code == 404
    assert WebhookSource.objects.get().revoked_at is None


def test_making_one_needs_the_scopes_of_what_it_may_do(api, acme, source):
    _, writer = api_key_create(tenant=acme.tenant, name="writer", scopes=["write", "read"])
    _, sender = api_key_create(tenant=acme.tenant, name="sender", scopes=["ingest"])
    for key in (writer, sender):
        assert Api(key).post("/v1/webhook-sources", {"name": "x"}).json()["code"] == "scope_missing"
        assert Api(key).post(f"/v1/webhook-sources/{source['id']}/rotate", {}).status_code == 403
    assert Api(sender).get("/v1/webhook-sources").status_code == 403
