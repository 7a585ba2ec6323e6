"""The same events through every door, and in any order, are the same usage."""

from __future__ import annotations

import csv
import gzip
import hashlib
import hmac
import io
import json
import random
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import lz4.frame
import pytest
from django.urls import get_resolver
from standardwebhooks.webhooks import Webhook

from aforo.kernel.clock import now
from aforo.tenancy.services.api_keys import api_key_create
from metering.compression import zstd
from metering.models import Bucket, Event
from metering.reference import DOORS
from metering.services.uploads import upload_read
from metering.services.webhook_sources import webhook_source_create
from metering.writer import Writer
from tests.metering.rows import tally
from tests.workspaces import Workspace, customer, meter, workspace

from .conftest import Api

EVENTS = 2_000
START = now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=40)

Events = list[dict[str, Any]]
# Sends all of the events as one workspace.
Door = Callable[[Workspace, Events], None]


def events() -> Events:
    """2,000 events of four customers and three metrics over two days; some without a quantity, some of zero."""
    found = []
    for number in range(EVENTS):
        event = {
            "idempotency_key": f"k{number:04}",
            "customer_id": f"cust_{number % 4}",
            "metric": ("api.call", "tokens", "peak")[number % 3],
            "quantity": str(number % 50) if number % 7 else f"{number % 9}.{number:04}",
            "timestamp": (START + timedelta(seconds=61 * number)).isoformat(),
            "source": "test",
            "properties": {"model": f"m{number % 3}", "region": 'é\n",' if number % 5 else "eu"},
        }
        found.append(event)
    return found


def provider(slug: str) -> Workspace:
    made = workspace(slug)
    for number in range(4):
        customer(made.tenant, f"cust_{number}")
    meter(made.tenant, "tokens", "SUM", group_by=["model"])
    meter(made.tenant, "peak", "MAX")
    meter(made.tenant, "last", "LATEST", event_name="peak", group_by=["region"])
    return made


def usage(of: Workspace) -> set[tuple[Any, ...]]:
    """Every bucket of a workspace, by the names of its customer and meter."""
    named = ("sum", "max", "min", "latest_at", "latest_key", "latest_value")
    rows = Bucket.objects.filter(tenant=of.tenant).values_list(
        "customer__external_id", "meter__key", "hour", "dimensions", "count", "value_count", *named
    )
    return set(rows)


def batches(of: Events, size: int = 500) -> Iterator[Events]:
    for start in range(0, len(of), size):
        yield of[start : start + size]


def ndjson(of: Events) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in of)


def packed(content: bytes) -> str:
    return b64encode(content).decode()


# Doors ------------------------------------------------------------------------------------------------------


def posted(
    address: str,
    body: Callable[[Events], Any],
    content_type: str = "application/json",
    size: int = 500,
    **headers: str,
) -> Door:
    def door(to: Workspace, found: Events) -> None:
        api = Api(to.key)
        for batch in batches(found, size):
            answer = api.post(address, body(batch), content_type=content_type, **headers)
            assert answer.status_code == 202, answer.content
            assert answer.json()["rejected"] == 0, answer.content

    return door


def cloud_event(event: dict[str, Any]) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": event["idempotency_key"],
        "source": event["source"],
        "type": event["metric"],
        "subject": event["customer_id"],
        "time": event["timestamp"],
        "data": {"quantity": event["quantity"], **event["properties"]},
    }


def binary(to: Workspace, found: Events) -> None:
    api = Api(to.key)
    for event in map(cloud_event, found):
        headers = {f"ce-{name}": value for name, value in event.items() if name != "data"}
        assert api.post("/v1/events", event["data"], **headers).status_code == 202


def single(address: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Door:
    def door(to: Workspace, found: Events) -> None:
        api = Api(to.key)
        for event in found:
            assert api.post(address, change(event)).status_code == 202

    return door


def meter_call(event: dict[str, Any]) -> dict[str, Any]:
    call = {name: value for name, value in event.items() if name not in ("customer_id", "metric")}
    return {**call, "tenantId": event["customer_id"], "metricKey": event["metric"]}


def compound(to: Workspace, found: Events) -> None:
    """A request for each customer of a batch; a measurement carries what differs."""
    api = Api(to.key)
    for batch in batches(found):
        for name in {event["customer_id"] for event in batch}:
            own = [
                {field: value for field, value in event.items() if field != "customer_id"}
                for event in batch
                if event["customer_id"] == name
            ]
            request = {"customerId": name, "source": "test", "measurements": own}
            assert api.post("/v1/ingest/compound", request).status_code == 202


def webhook(scheme: str, mapping: dict[str, str]) -> Door:
    def door(to: Workspace, found: Events) -> None:
        source, secret = webhook_source_create(tenant=to.tenant, name="test", scheme=scheme, mapping=mapping)
        for number, batch in enumerate(batches(found)):
            content = json.dumps({"at": {"events": batch}} if mapping else batch)
            if scheme == "standard":
                at = now()
                headers = {
                    "webhook-id": f"msg_{number}",
                    "webhook-timestamp": str(int(at.timestamp())),
                    "webhook-signature": Webhook(secret).sign(f"msg_{number}", at, content),
                }
            else:
                digest = hmac.new(secret.encode(), content.encode(), hashlib.sha256).hexdigest()
                headers = {"X-Signature": f"sha256={digest}"}
            address = f"/v1/ingest/webhook/{source.public_id}"
            answer = Api(None).post(address, content.encode(), **headers)
            assert (answer.status_code, answer.json()["rejected"]) == (202, 0)

    return door


def firehose(to: Workspace, found: Events) -> None:
    for number, batch in enumerate(batches(found)):
        records = [{"data": packed(ndjson(part))} for part in batches(batch, 7)]
        answer = Api(None).post(
            "/v1/ingest/firehose",
            {"requestId": f"r{number}", "timestamp": 1, "records": records},
            **{"X-Amz-Firehose-Access-Key": to.key, "X-Amz-Firehose-Request-Id": f"r{number}"},
        )
        assert answer.status_code == 200, answer.content


def pubsub(batch: Events) -> dict[str, Any]:
    return {"message": {"data": packed(json.dumps(batch).encode()), "messageId": batch[0]["idempotency_key"]}}


def uploaded(content: Callable[[Events], bytes], content_type: str) -> Door:
    def door(to: Workspace, found: Events) -> None:
        answer = Api(to.key).post("/v1/ingest/upload", content(found), content_type=content_type)
        assert upload_read(tenant=to.tenant, upload_id=UUID(answer.json()["id"]))

    return door


def as_csv(found: Events) -> bytes:
    text = io.StringIO()
    rows = [{**event, **event["properties"]} for event in found]
    writer = csv.DictWriter(text, [name for name in rows[0] if name != "properties"], extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


WAYS: dict[str, Door] = {
    "single": single("/v1/events", dict),
    "meter": single("/v1/meter", meter_call),
    "array": posted("/v1/events", list),
    "envelope": posted("/v1/ingest/events/batch", lambda batch: {"events": batch}),
    "ndjson": posted("/v1/ingest", ndjson, "application/x-ndjson"),
    "gzip": posted(
        "/v1/events/batch", lambda batch: gzip.compress(json.dumps(batch).encode()), Content_Encoding="gzip"
    ),
    "zstd": posted(
        "/v1/ingest/batch", lambda batch: zstd.compress(json.dumps(batch).encode()), Content_Encoding="zstd"
    ),
    "lz4": posted(
        "/v1/ingest/events",
        lambda batch: lz4.frame.compress(json.dumps(batch).encode()),
        Content_Encoding="lz4",
    ),
    "cloud events, batched": posted(
        "/v1/events",
        lambda batch: [cloud_event(event) for event in batch],
        "application/cloudevents-batch+json",
    ),
    "cloud events, structured": posted(
        "/v1/events", lambda batch: cloud_event(batch[0]), "application/cloudevents+json", size=1
    ),
    "cloud events, binary": binary,
    "compound": compound,
    "webhook": webhook("standard", {}),
    "webhook by a mapping": webhook(
        "plain",
        {
            "events": "at.events",
            "idempotency_key": "idempotency_key",
            "customer_id": "customer_id",
            "metric": "metric",
            "quantity": "quantity",
            "timestamp": "timestamp",
            "properties.model": "properties.model",
            "properties.region": "properties.region",
        },
    ),
    "firehose": firehose,
    "pubsub": posted("/v1/ingest/pubsub", pubsub),
    "upload, CSV": uploaded(as_csv, "text/csv"),
    "upload, NDJSON": uploaded(ndjson, "application/x-ndjson"),
    "upload, JSON": uploaded(lambda found: json.dumps({"events": found}).encode(), "application/json"),
}
# A request an event: fewer of them tell as much.
ONE_BY_ONE = {"single", "meter", "cloud events, structured", "cloud events, binary"}


@pytest.fixture
def quick(redis_empty, settings, tmp_path):
    settings.UPLOAD_DIR = str(tmp_path)
    # A machine that is busy is no outage of the log.
    settings.LOG_TIMEOUT_S = 10.0


@pytest.mark.promise("P22", "P99")
def test_the_same_events_through_every_door_are_the_same_usage(db, quick):
    found = events()
    part = found[:: EVENTS // 100]
    workspaces = {name: provider(f"door{number}") for number, name in enumerate(WAYS)}
    for name, door in WAYS.items():
        door(workspaces[name], part if name in ONE_BY_ONE else found)
    Writer(0).drain()

    whole, of_part = usage(workspaces["array"]), usage(workspaces["single"])
    assert len(whole) > 300
    for name, to in workspaces.items():
        sent = part if name in ONE_BY_ONE else found
        assert tally(to) == {"received": len(sent), "accepted": len(sent), "late": tally(to)["late"]}, name
        assert usage(to) == (of_part if name in ONE_BY_ONE else whole), name

    # What came in by one door is known at every other.
    to, again = workspaces["pubsub"], found[::10]
    for name in ("array", "upload, CSV", "firehose", "webhook", "compound"):
        WAYS[name](to, again)
    Writer(0).drain()
    assert usage(to) == whole
    counts = tally(to)
    assert (counts["accepted"], counts["duplicates"]) == (EVENTS, 5 * len(again))
    assert "dead_letters" not in counts


@pytest.mark.promise("P22")
def test_in_any_order_they_are_the_same_usage(db, quick):
    found = events()
    expected: set[tuple[Any, ...]] = set()
    for seed in range(10):
        to = provider(f"order{seed}")
        order = list(found)
        random.Random(seed).shuffle(order)
        # Some of them twice, and cut into batches elsewhere each time.
        order += order[: 100 * seed]
        posted("/v1/events", list, size=130 + 37 * seed)(to, order)
        Writer(0).drain()
        expected = expected or usage(to)
        assert usage(to) == expected
        assert Event.objects.filter(tenant=to.tenant).count() == EVENTS


def test_every_address_that_takes_events_is_a_door():
    patterns = get_resolver("metering.urls").url_patterns
    addresses = {
        f"/v1/{pattern.pattern}"
        for pattern in patterns
        if "ingest" in getattr(pattern.callback.view_class, "scopes", {}).get("POST", "")
    }
    named = {address.replace("{source}", "<str:public_id>") for door in DOORS for address in door.addresses}
    assert named == addresses


class _Unread:
    """A body that fails the test where anybody looks at it."""

    def read(self, *args: Any) -> bytes:
        raise AssertionError("the body was read")

    readline = read


@pytest.mark.promise("P99")
@pytest.mark.parametrize(
    "address", sorted(address for door in DOORS for address in door.addresses if "webhook" not in address)
)
def test_a_body_is_not_looked_at_before_its_sender(acme, served, redis_empty, address):
    """Without a key, with an unknown one, without the scope; a webhook's body is what proves its sender."""
    _, reader = api_key_create(tenant=acme.tenant, name="reader", scopes=["read"])
    for key, status in (("", 401), ("sk_live_" + "x" * 40, 401), (reader, 403)):
        said: list[str] = []
        served(
            {
                "REQUEST_METHOD": "POST",
                "PATH_INFO": address,
                "QUERY_STRING": "",
                "SERVER_NAME": "testserver",
                "SERVER_PORT": "80",
                "HTTP_HOST": "testserver",
                "CONTENT_TYPE": "application/json",
                "CONTENT_LENGTH": str(10**12),
                "HTTP_AUTHORIZATION": f"Bearer {key}" if key else "",
                "HTTP_X_AMZ_FIREHOSE_ACCESS_KEY": key,
                "wsgi.input": _Unread(),
                "wsgi.input_terminated": True,
                "wsgi.url_scheme": "http",
                "wsgi.errors": io.StringIO(),
            },
            lambda status, headers, *_, said=said: said.append(status),
        )
        assert said[0].startswith(str(status))
