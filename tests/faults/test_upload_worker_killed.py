"""A Celery worker killed with SIGKILL again and again while it reads a file."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from metering.models import Bucket, Upload
from metering.services.uploads import upload_create, upload_queue
from metering.upload_files import NewFile
from metering.writer import Writer
from tests.metering.rows import tally
from tests.workspaces import workspace

from .programs import program, wait_until

ROWS = 40_000
# Killed once so many rows were read; the last worker reads to the end.
KILLED_AT = (1, 9_000, 22_000)
CELERY = ("-m", "celery", "-q", "-A", "aforo", "worker", "--concurrency", "1", "-l", "error")


@pytest.mark.slow
@pytest.mark.promise("P17", "P22", "P23")
@pytest.mark.django_db(transaction=True)
def test_a_file_is_counted_once_however_often_its_reader_dies(redis_empty, settings, tmp_path):
    settings.UPLOAD_DIR = str(tmp_path)
    acme = workspace("acme_upload")
    file = NewFile()
    for number in range(ROWS):
        # Every second row has a key of its own.
        key = {"id": f"k{number}"} if number % 2 else {}
        file.write(json.dumps({"metric": "api.call", "customer_id": "cust_abc", **key}).encode() + b"\n")
    upload = upload_create(tenant=acme.tenant, api_key_id=None, file=file, form="ndjson")
    file.close()

    def rows() -> int:
        return Upload.objects.get(pk=upload.pk).rows

    for killed_at in KILLED_AT:
        with program(*CELERY, "--without-mingle", "--without-gossip", UPLOAD_DIR=str(tmp_path)):
            wait_until(lambda killed_at=killed_at: rows() >= killed_at, f"{killed_at} rows")
        # Beat would take it up within a minute.
        upload_queue(tenant=acme.tenant, upload_id=UUID(str(upload.pk)))
    with program(*CELERY, "--without-mingle", "--without-gossip", UPLOAD_DIR=str(tmp_path)):
        wait_until(lambda: Upload.objects.get(pk=upload.pk).is_finished, "the end of the file")
    Writer(0).drain()

    after = Upload.objects.get(pk=upload.pk)
    assert (after.status, after.rows, after.accepted) == ("COMPLETED", ROWS, ROWS)
    counts = tally(acme)
    # A chunk that was logged before its reader died came twice, and the second time was received by nobody.
    assert counts.pop("copies", 0) in range(1_000 * len(KILLED_AT) + 1)
    assert counts == {"received": ROWS, "accepted": ROWS}
    assert sum(Bucket.objects.filter(tenant=acme.tenant).values_list("count", flat=True)) == ROWS
    assert list(tmp_path.iterdir()) == []
