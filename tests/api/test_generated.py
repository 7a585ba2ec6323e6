"""Requests generated from the description of the API: whatever is sent to a door, it is no fault of ours.

Schemathesis makes them, right ones and wrong ones; they go through the whole application, the hot path in front.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from functools import lru_cache
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from django.test import Client
from drf_spectacular.generators import SchemaGenerator
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from metering.batch import store
from metering.file_reading import FORMS
from metering.models import Upload
from metering.reference import DOORS
from metering.services.uploads import upload_read
from metering.services.webhook_sources import webhook_source_create
from metering.writer import Writer
from tests.metering.rows import call, submission, tally

# Beside the doors, what belongs to them.
OTHERS = (
    "/v1/ingest/uploads",
    "/v1/ingest/uploads/{upload_id}",
    "/v1/webhook-sources",
    "/v1/webhook-sources/{source_id}",
    "/v1/events/{key}/amend",
    "/v1/events/{key}/void",
    "/v1/corrections",
    "/v1/corrections/{correction_id}",
)
PATHS = sorted(
    {address.replace("{source}", "{public_id}") for door in DOORS for address in door.addresses} | set(OTHERS)
)


@lru_cache
def description() -> Any:
    # As it is served: what of Django is lazy is text there.
    document = json.loads(json.dumps(SchemaGenerator().get_schema(public=True), default=str))
    return schemathesis.openapi.from_dict(document)


def cases(path: str) -> st.SearchStrategy[Any]:
    """Requests to an address by every method that it has, as described and otherwise."""
    operations = [description()[path][method] for method in description()[path]]
    return st.one_of(
        operation.as_strategy(generation_mode=mode)
        for operation in operations
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    )


def few(examples: int) -> Any:
    """Settings of a run inside of a test; what the test's fixtures hold is shared by its examples."""
    return settings(
        max_examples=examples,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


def nothing_is_lost(to: Any) -> None:
    Writer(0).drain()
    counts = {**dict.fromkeys(("received", "accepted", "duplicates", "dead_letters"), 0), **tally(to)}
    assert counts["received"] == counts["accepted"] + counts["duplicates"] + counts["dead_letters"]


@pytest.mark.slow
@pytest.mark.promise("P99")
@pytest.mark.parametrize("path", PATHS)
def test_no_generated_request_is_a_fault_of_ours(acme, redis_empty, served, path):
    source, _ = webhook_source_create(tenant=acme.tenant, name="x", mapping={"metric": "a.b", "events": "c"})
    proofs = {
        "Authorization": f"Bearer {acme.key}",
        "X-Amz-Firehose-Access-Key": acme.key,
        "X-Amz-Firehose-Request-Id": "r1",
        "X-Tenant-Id": "acme_corp",
        "Host": "testserver",
    }
    store([submission(acme, call("k1"))])

    @few(25)
    @given(case=cases(path), is_known=st.booleans())
    def run(case: Any, is_known: bool) -> None:
        if is_known and "public_id" in case.path_parameters:
            case.path_parameters["public_id"] = source.public_id
        if is_known and "key" in case.path_parameters:
            case.path_parameters["key"] = "k1"
        response = case.call(app=served, headers=proofs)
        assert response.status_code < 500, (case.as_curl_command(), response.content)
        if response.status_code >= 400:
            document = json.loads(response.content)
            assert document.get("code") or document.get("errorMessage")

    run()
    for upload in Upload.objects.all():
        upload_read(tenant=acme.tenant, upload_id=upload.pk)
    nothing_is_lost(acme)


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    "metric",
                    "customer_id",
                    "quantity",
                    "timestamp",
                    "id",
                    "data",
                    "a",
                    "c",
                    "message",
                    "records",
                ]
            )
            | st.text(max_size=5),
            inner,
            max_size=6,
        )
    ),
    max_leaves=12,
)
bodies = st.binary(max_size=300) | json_like.map(lambda value: json.dumps(value).encode())


SECRET = "a secret of sixteen"


@pytest.mark.promise("P99")
def test_whatever_is_inside_of_an_envelope_is_no_fault_of_ours(acme, served, redis_empty):
    """With the key, the signature and the envelope right, so that what is inside of it is read."""
    mapping = {"metric": "metric", "customer_id": "a.c", "events": "data", "properties": "c"}
    source, _ = webhook_source_create(
        tenant=acme.tenant, name="x", scheme="plain", secret=SECRET, mapping=mapping
    )

    @few(60)
    @given(inner=bodies, is_wrapped=st.booleans(), message_id=st.text(max_size=5))
    def run(inner: bytes, is_wrapped: bool, message_id: str) -> None:
        packed = b64encode(inner).decode()
        firehose = json.dumps({"requestId": "r", "records": [{"data": packed}]}).encode()
        pubsub = json.dumps({"message": {"data": packed, "messageId": message_id}}).encode()
        digest = hmac.digest(SECRET.encode(), inner, "sha256").hex()
        sent = [
            ("firehose", firehose, {"X-Amz-Firehose-Access-Key": acme.key, "X-Amz-Firehose-Request-Id": "r"}),
            ("pubsub", pubsub, {"Authorization": f"Bearer {acme.key}"}),
            (f"webhook/{source.public_id}", inner, {"X-Signature": f"sha256={digest}"}),
        ]
        for door, body, headers in sent:
            content = body if is_wrapped else inner
            answer = Client(raise_request_exception=False).post(
                f"/v1/ingest/{door}", content, content_type="application/json", headers=headers
            )
            assert answer.status_code in {200, 202, 400, 413}, (door, content, answer.content)

    run()
    nothing_is_lost(acme)


@pytest.mark.promise("P99")
def test_whatever_is_in_a_file_is_no_fault_of_ours(acme, served, redis_empty):
    @few(40)
    @given(content=bodies, form=st.sampled_from(sorted(FORMS)))
    def run(content: bytes, form: str) -> None:
        content = (
            b"customer_id,metric,timestamp,properties,x\n" + content if form == "csv" else content or b"x"
        )
        answer = Client(raise_request_exception=False).post(
            f"/v1/ingest/upload?file_format={form}",
            content,
            content_type="text/csv",
            headers={"Authorization": f"Bearer {acme.key}"},
        )
        assert answer.status_code == 202, answer.content
        upload_id = UUID(answer.json()["id"])
        assert upload_read(tenant=acme.tenant, upload_id=upload_id)
        after = Upload.objects.get(pk=upload_id)
        # What could not be read on is one dead letter more.
        rows = after.rows + (after.status == "FAILED")
        assert rows == after.accepted + after.duplicates + after.rejected

    run()
    nothing_is_lost(acme)
