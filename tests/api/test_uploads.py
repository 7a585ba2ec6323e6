"""Files of events: received whole or not at all, read once, and watched while they are."""

from __future__ import annotations

import gzip
import json
import os
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from aforo.kernel.clock import clock_at, now
from aforo.tenancy.services.api_keys import api_key_create
from metering import log, upload_files
from metering.models import DeadLetter, Event, Tally, Upload
from metering.services import uploads
from tests.metering.rows import call, tally

from .conftest import Api

CSV = b"customer_id,metric,quantity,model\ncust_abc,api.call,1,a\ncust_abc,api.call,2.5,b\n"


@pytest.fixture(autouse=True)
def upload_dir(settings, tmp_path):
    settings.UPLOAD_DIR = str(tmp_path / "uploads")
    return Path(settings.UPLOAD_DIR)


@pytest.fixture
def read(acme, redis_empty):
    """Let the workers read an upload to its end."""

    def to_the_end(upload: dict[str, Any], chunks_max: int = 1_000) -> bool:
        return uploads.upload_read(tenant=acme.tenant, upload_id=UUID(upload["id"]), chunks_max=chunks_max)

    return to_the_end


def sent(
    api: Api, content: bytes, content_type: str = "text/csv", query: str = "", **headers: str
) -> dict[str, Any]:
    answer = api.post(f"/v1/ingest/upload{query}", content, content_type=content_type, **headers)
    assert answer.status_code == 202, answer.content
    assert answer["Location"] == f"/v1/ingest/uploads/{answer.json()['id']}"
    return answer.json()


def progress(api: Api, upload: dict[str, Any]) -> dict[str, Any]:
    return api.get(f"/v1/ingest/uploads/{upload['id']}").json()


def form(
    content: bytes, name: str = "march.csv", kind: str = "application/octet-stream", field: str = "file"
) -> Any:
    from django.test.client import BOUNDARY, encode_multipart

    body = encode_multipart(BOUNDARY, {"note": "x", field: SimpleUploadedFile(name, content, kind)})
    return body, f"multipart/form-data; boundary={BOUNDARY}"


def ndjson(*events: Any) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def test_a_file_is_kept_then_read_then_gone(api, acme, read, stored, upload_dir):
    upload = sent(api, CSV, query="?file_name=march.csv")

    assert (upload["status"], upload["format"], upload["file_name"]) == ("WAITING", "csv", "march.csv")
    assert (upload["bytes"], upload["bytes_read"], upload["rows"]) == (len(CSV), 0, 0)
    (path,) = upload_dir.iterdir()
    assert path.read_bytes() == CSV
    assert path.stat().st_mode & 0o777 == 0o600

    assert read(upload)
    stored()

    after = progress(api, upload)
    assert (after["status"], after["bytes_read"], after["rows"]) == ("COMPLETED", len(CSV), 2)
    assert (after["accepted"], after["duplicates"], after["rejected"], after["error"]) == (2, 0, 0, "")
    assert after["finished_at"] is not None
    keys = sorted(Event.objects.values_list("key", flat=True))
    assert keys == [f"upload_{upload['sha256'][:32]}:{line}" for line in (2, 3)]
    event = api.get(f"/v1/events/{keys[1]}").json()["event"]
    assert (event["quantity"], event["properties"], event["source"]) == ("2.5", {"model": "b"}, "upload")
    assert event["received_at"] == upload["created_at"]


@pytest.mark.django_db(transaction=True)
def test_the_file_is_removed_once_its_end_is_committed(redis_empty, upload_dir):
    from tests.workspaces import workspace

    acme = workspace("acme_upload")
    upload = sent(Api(acme.key), CSV)
    assert uploads.upload_read(tenant=acme.tenant, upload_id=UUID(upload["id"]))
    assert list(upload_dir.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "content_type", "query"),
    [
        (CSV, "text/csv; charset=utf-8", ""),
        (CSV, "application/octet-stream", "?file_format=csv"),
        (CSV, "", "?file_name=MARCH.CSV"),
        (*form(CSV), ""),
        (*form(CSV, "unnamed", "text/csv"), ""),
        (*form(CSV, "unnamed"), "?file_format=csv"),
        (ndjson(call("a"), call("b")), "application/x-ndjson", ""),
        (*form(ndjson(call("a"), call("b")), "x.jsonl"), ""),
        (json.dumps([call("a"), call("b")]).encode(), "application/json", ""),
        (json.dumps({"events": [call("a"), call("b")]}).encode(), "application/json", ""),
    ],
)
def test_as_a_body_or_in_a_form(api, acme, read, stored, content, content_type, query):
    upload = sent(api, content, content_type, query)
    assert read(upload)
    stored()
    assert tally(acme) == {"received": 2, "accepted": 2}


def test_a_compressed_file_counts_by_what_it_holds(api, acme, read, stored):
    for _ in range(2):
        upload = sent(api, gzip.compress(CSV), Content_Encoding="gzip")
        assert upload["bytes"] == len(CSV)
        read(upload)
        stored()
        sent(api, CSV)
    assert tally(acme) == {"received": 4, "accepted": 2, "duplicates": 2}


@pytest.mark.promise("P22", "P23")
def test_a_file_that_is_handed_in_again_counts_nothing_twice(api, acme, read, stored):
    for number in range(3):
        upload = sent(api, CSV)
        assert read(upload)
        stored()
        counts = progress(api, upload)
        assert (counts["accepted"], counts["duplicates"]) == ((2, 0) if number == 0 else (0, 2))
    assert tally(acme) == {"received": 6, "accepted": 2, "duplicates": 4}


def test_wrong_rows_are_dead_letters_with_their_lines(api, acme, read, stored):
    content = (
        CSV + b"nobody,api.call,1,c\ncust_abc,api.call\ncust_abc,api.call,many,d\n\ncust_abc,api.call,1,e\n"
    )
    upload = sent(api, content)
    read(upload)
    stored()

    after = progress(api, upload)
    assert (after["status"], after["rows"], after["accepted"], after["rejected"]) == ("COMPLETED", 6, 3, 3)
    letters = {letter.facts["line"]: letter for letter in DeadLetter.objects.all()}
    assert {line: (letter.code, letter.detail) for line, letter in letters.items()} == {
        4: ("customer_unknown", "Line 4: There is no customer 'nobody'."),
        5: ("field_invalid", "Line 5: event has 2 values for 4 columns."),
        6: ("field_invalid", "Line 6: quantity is no decimal number."),
    }
    assert json.loads(bytes(letters[5].payload)) == "cust_abc,api.call\n"
    assert tally(acme) == {"received": 6, "accepted": 3, "dead_letters": 3}
    # Corrected, it keeps the key of its line; sent again with the whole file, it is known by it.
    corrected = {"payload": {"customer_id": "cust_abc", "metric": "api.call", "quantity": "1", "model": "c"}}
    assert api.post(f"/v1/dead-letters/{letters[4].pk}/replay", corrected).json()["status"] == "REPLAYED"
    assert Event.objects.filter(key=f"upload_{upload['sha256'][:32]}:4").exists()


def test_a_row_that_contradicts_what_is_stored_says_its_line(api, acme, read, stored):
    api.post("/v1/events", call("k1", 5))
    stored()
    read(sent(api, ndjson(call("k0"), call("k1", 6)), "application/x-ndjson"))
    stored()
    letter = DeadLetter.objects.get()
    assert (letter.code, letter.facts["line"]) == ("idempotency_conflict", 2)


def test_a_killed_worker_left_off_between_two_chunks_or_between_log_and_row(
    api, acme, read, stored, monkeypatch
):
    monkeypatch.setattr(uploads, "CHUNK_ROWS_MAX", 10)
    upload = sent(api, ndjson(*(call(f"k{n}") for n in range(95))), "application/x-ndjson")

    assert not read(upload, chunks_max=3)
    assert (progress(api, upload)["status"], progress(api, upload)["rows"]) == ("READING", 30)
    stored()

    # The fourth chunk was logged, and its reader was killed before the row knew of it.
    def killed(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        dying.setattr(Upload, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            read(upload)
    stored()
    assert read(upload)
    stored()

    after = progress(api, upload)
    assert (after["rows"], after["accepted"], after["duplicates"]) == (95, 95, 0)
    # The chunk came twice, and the second time it was a copy, received by nobody.
    assert tally(acme) == {"received": 95, "accepted": 95, "copies": 10}


def test_chunks_are_bounded_in_bytes_too(api, acme, read, monkeypatch):
    monkeypatch.setattr(uploads, "CHUNK_BYTES_MAX", 1_000)
    sizes = []
    monkeypatch.setattr(uploads, "submission_ingest", _spied(uploads.submission_ingest, sizes))
    upload = sent(api, ndjson(*(call(f"k{n}", note="x" * 400) for n in range(10))), "application/x-ndjson")
    assert read(upload)
    assert max(sizes) < 2_000
    assert len(sizes) == 5


def _spied(ingest: Any, sizes: list[int]) -> Any:
    def spy(*, tenant, submission):
        sizes.append(len(submission.body))
        return ingest(tenant=tenant, submission=submission)

    return spy


def test_an_upload_waits_while_nothing_durable_answers(api, acme, read, stored, settings, monkeypatch):
    from metering import tasks

    upload = sent(api, CSV)

    def away(*args, **kwargs):
        raise log.StoreError("the store is away")

    answering, settings.LOG_REDIS_URL = settings.LOG_REDIS_URL, "redis://127.0.0.1:1/0"
    with monkeypatch.context() as outage:
        outage.setattr(log, "entry_insert", away)
        tasks.upload_read(acme.tenant.pk, upload["id"])
    settings.LOG_REDIS_URL = answering
    assert progress(api, upload)["rows"] == 0
    assert read(upload)
    stored()
    assert tally(acme) == {"received": 2, "accepted": 2}


@pytest.mark.parametrize(
    ("content", "kind", "accepted", "error"),
    [
        (b"metric,quantity\nx,1\n", "text/csv", 0, "Line 1: customer_id has no column."),
        (b"[]", "application/json", 0, "The file has no event."),
        (b"\n \n", "application/x-ndjson", 0, "The file has no event."),
        (
            json.dumps([call("a"), call("b")]).encode()[:-1] + b", {",
            "application/json",
            2,
            "From line 1 on: the list is not closed.",
        ),
    ],
)
def test_what_cannot_be_read_on_is_one_dead_letter(api, acme, read, stored, content, kind, accepted, error):
    upload = sent(api, content, kind)
    assert read(upload)
    stored()

    after = progress(api, upload)
    assert (after["status"], after["error"], after["accepted"], after["rejected"]) == (
        "FAILED",
        error,
        accepted,
        1,
    )
    letter = DeadLetter.objects.get()
    assert letter.detail == error
    assert content.endswith(bytes(letter.payload))
    assert letter.payload_length == len(letter.payload)
    expected = {"received": accepted + 1, "dead_letters": 1} | ({"accepted": accepted} if accepted else {})
    assert tally(acme) == expected
    # Nothing more happens to it.
    assert read(upload)
    stored()
    assert tally(acme) == expected


CUT, CUT_TYPE = form(CSV)


@pytest.mark.parametrize(
    ("content", "content_type", "query", "headers", "status", "code"),
    [
        (b"", "text/csv", "?file_format=csv", {}, 400, "batch_empty"),
        (*form(b""), "", {}, 400, "batch_empty"),
        (b"x", "image/png", "", {}, 415, "media_type_unsupported"),
        (b"x", "text/csv", "?file_format=xlsx", {}, 415, "media_type_unsupported"),
        (*form(b"x", "a.xlsx"), "", {}, 415, "media_type_unsupported"),
        (b"x", "text/csv", "", {"Content_Encoding": "br"}, 415, "encoding_unsupported"),
        (b"x", "text/csv", "", {"Content_Encoding": "gzip"}, 400, "encoding_broken"),
        (*form(CSV), "", {"Content_Encoding": "gzip"}, 415, "encoding_unsupported"),
        (*form(CSV, field="other"), "", {}, 400, "body_unreadable"),
        (CUT[: len(CUT) // 2], CUT_TYPE, "", {}, 400, "body_unreadable"),
        (CUT[:-9], CUT_TYPE, "", {}, 400, "body_unreadable"),
        (b"x", "multipart/form-data", "", {}, 400, "body_unreadable"),
        (b"x", "multipart/form-data; boundary=é", "", {}, 400, "body_unreadable"),
        (
            gzip.compress(bytes(60 * 1024 * 1024)),
            "text/csv",
            "",
            {"Content_Encoding": "gzip"},
            413,
            "body_too_large",
        ),
    ],
)
def test_what_is_no_file_is_not_taken(
    api, acme, stored, upload_dir, content, content_type, query, headers, status, code
):
    answer = api.post(f"/v1/ingest/upload{query}", content, content_type=content_type, **headers)
    stored()

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert not Upload.objects.exists()
    assert list(upload_dir.iterdir()) == []
    assert DeadLetter.objects.get().code == code


def test_a_file_beyond_the_limit_is_cut_off(api, acme, stored, upload_dir, monkeypatch):
    monkeypatch.setattr(upload_files, "FILE_BYTES_MAX", 1_000)
    body, content_type = form(b"x" * 1_001)
    for content, kind in ((b"x" * 1_001, "text/csv"), (body, content_type)):
        assert api.post("/v1/ingest/upload", content, content_type=kind).status_code == 413
    assert list(upload_dir.iterdir()) == []
    assert sent(api, b"x" * 1_000)["bytes"] == 1_000


def test_fifty_megabytes_go_through_memory_in_pieces(api, acme, upload_dir):
    import tracemalloc

    row = b"cust_abc,api.call,1,%b\n" % (b"x" * 1_000)
    content = CSV + row * (45 * 1024 * 1024 // len(row))
    # What a process imports at its first request is no part of a file.
    sent(api, CSV + row)
    tracemalloc.start()
    upload = sent(api, content)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert upload["bytes"] == len(content)
    # Beside the content itself, of which the test's own client makes a copy.
    assert peak - len(content) < 4 * 1024 * 1024


def test_the_disk_that_refuses_is_said_and_nothing_is_kept(api, acme, stored, upload_dir, monkeypatch):
    def full(*args: Any) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    answer = api.post("/v1/ingest/upload", CSV, content_type="text/csv")
    monkeypatch.undo()
    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert int(answer["Retry-After"]) > 0
    assert not Upload.objects.exists()


def test_strict_rows_and_another_source(api, acme, read, stored):
    upload = sent(api, CSV, query="?strict=true", X_Aforo_Source="erp")
    read(upload)
    stored()
    letter = DeadLetter.objects.first()
    # The file's own key is no default, nor is the source that was sent.
    assert letter.facts["missing"] == ["tenant_id", "timestamp"]
    assert letter.source == "erp"


def test_times_are_judged_by_the_receipt_of_the_file(api, acme, read, stored):
    received_at = now()
    event = call("k1", timestamp=(received_at - timedelta(days=90)).isoformat())
    with clock_at(received_at):
        upload = sent(api, ndjson(event), "application/x-ndjson")
    with clock_at(received_at + timedelta(hours=1)):
        read(upload)
    stored()
    assert Event.objects.count() == 1
    assert Tally.objects.get().day == received_at.date()


def test_a_hundred_files_may_wait(api, acme, monkeypatch):
    monkeypatch.setattr(uploads, "UNFINISHED_MAX", 2)
    for _ in range(2):
        sent(api, CSV)
    answer = api.post("/v1/ingest/upload", CSV, content_type="text/csv")
    assert (answer.status_code, answer["Retry-After"]) == (429, "30")


def test_what_stands_still_is_taken_up_and_what_is_left_behind_is_removed(api, acme, upload_dir, monkeypatch):
    queued = []
    monkeypatch.setattr(uploads, "upload_queue", lambda *, tenant, upload_id: queued.append(str(upload_id)))
    upload = sent(api, CSV)
    orphan = upload_files.NewFile()
    orphan.close()
    assert uploads.uploads_resume() == 0

    with clock_at(now() + timedelta(seconds=31)):
        assert uploads.uploads_resume() == 1
    assert queued == [upload["id"]]
    assert len(list(upload_dir.iterdir())) == 2

    with clock_at(now() + timedelta(hours=25)):
        uploads.uploads_resume()
    assert [path.stem for path in upload_dir.iterdir()] == [upload["id"]]


def test_a_file_that_is_elsewhere_is_waited_for(api, acme, read, upload_dir):
    upload = sent(api, CSV)
    (path,) = upload_dir.iterdir()
    path.rename(path.with_suffix(".elsewhere"))
    assert read(upload)
    assert progress(api, upload)["error"] == "The file is not in this worker's UPLOAD_DIR."
    path.with_suffix(".elsewhere").rename(path)
    assert read(upload)
    assert (progress(api, upload)["status"], progress(api, upload)["error"]) == ("COMPLETED", "")


def test_another_tenants_uploads_are_404_and_not_listed(api, acme, other, read, stored):
    upload = sent(api, CSV)
    stranger = Api(other.key)
    assert stranger.get(f"/v1/ingest/uploads/{upload['id']}").status_code == 404
    assert stranger.get("/v1/ingest/uploads").json()["data"] == []
    # A task under the wrong tenant reads nothing.
    assert uploads.upload_read(tenant=other.tenant, upload_id=UUID(upload["id"]))
    assert progress(api, upload)["status"] == "WAITING"


def test_uploads_are_listed_the_latest_first(api, acme, read):
    first, second = sent(api, CSV), sent(api, CSV)
    read(first)
    listed = api.get("/v1/ingest/uploads").json()["data"]
    assert [each["id"] for each in listed] == [second["id"], first["id"]]
    assert [each["id"] for each in api.get("/v1/ingest/uploads", status="WAITING").json()["data"]] == [
        second["id"]
    ]
    assert api.get("/v1/ingest/uploads", status="x").status_code == 422


def test_who_may_upload(api, acme):
    _, reader = api_key_create(tenant=acme.tenant, name="reader", scopes=["read"])
    assert Api(reader).post("/v1/ingest/upload", CSV, content_type="text/csv").status_code == 403
    assert Api(None).post("/v1/ingest/upload", CSV, content_type="text/csv").status_code == 401
    assert Api(reader).get("/v1/ingest/uploads").status_code == 200
    assert not DeadLetter.objects.exists()
