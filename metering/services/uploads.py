"""Uploads: files of events, kept, then read in chunks of which each goes into the log under its own intake id.

A chunk's place in the file makes its intake id, and the file's hash makes the keys of rows that have none. So a chunk
that is sent again, because a worker was killed between the log and the row, is a copy; and a file that is handed in again
is duplicates. Tasks are queued by name: they call this module, not the other way.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from typing import BinaryIO
from uuid import UUID

import msgspec
from celery import current_app
from django.db import transaction
from kombu.exceptions import OperationalError as BrokerError

from aforo.kernel.clock import now
from aforo.kernel.errors import Problem
from aforo.kernel.identifiers import random_bits_63
from aforo.tenancy.models import Tenant

from ..event import INTAKE_ID_MASK, REFUSED_BODY_BYTES_MAX, RefusedBody, Submission
from ..file_reading import CHUNK_BYTES_MAX, CHUNK_ROWS_MAX, Mark, rows_from
from ..file_rows import row_pack
from ..log import append
from ..models import Upload, UploadStatus
from ..selectors.uploads import uploads_for
from ..upload_files import NewFile, file_remove, files_orphaned, path_of
from .events import submission_ingest

SOURCE = "upload"
# Some seconds' work, so that a task never outlives the broker's patience.
CHUNKS_A_TASK = 50
# Of which nothing has moved for so long: its worker is gone.
STALLED_AFTER = timedelta(seconds=30)
# Files of one tenant that wait or are read: 5 GB on the disk at most.
UNFINISHED_MAX = 100
_READ_BYTES = 1024 * 1024

_logger = logging.getLogger(__name__)


def upload_admit(*, tenant: Tenant) -> None:
    """Raises Problem rate_limited where a hundred files of the tenant are not read yet."""
    if uploads_for(tenant).filter(finished_at=None).count() >= UNFINISHED_MAX:
        raise Problem(
            "rate_limited", f"{UNFINISHED_MAX} files of yours are still to be read.", retry_after_s=30
        )


@transaction.atomic
def upload_create(
    *,
    tenant: Tenant,
    api_key_id: UUID | None,
    file: NewFile,
    form: str,
    file_name: str = "",
    source: str | None = None,
    is_strict: bool = False,
) -> Upload:
    """Keep a file that was received whole, and hand it to the workers.

    form: a key of file_reading.FORMS. Raises Problem: batch_empty for a file of nothing, storage_unavailable.
    """
    if not file.length:
        raise Problem("batch_empty", "The file is empty.")
    file.keep()
    upload = Upload.objects.create(
        id=file.id,
        tenant=tenant,
        api_key_id=api_key_id,
        file_name=file_name,
        form=form,
        bytes=file.length,
        sha256=file.sha256,
        source=source or SOURCE,
        is_strict=is_strict,
    )
    transaction.on_commit(lambda: upload_queue(tenant=tenant, upload_id=upload.pk))
    return upload


def upload_refuse(*, tenant: Tenant, api_key_id: UUID | None, file: NewFile, problem: Problem) -> None:
    """Keep of a file that was not taken what is kept of any refused body: one dead letter to come."""
    append(
        Submission(
            tenant_id=tenant.pk,
            tenant_slug=tenant.slug,
            api_key_id=None if api_key_id is None else str(api_key_id),
            received_at=now(),
            intake_id=random_bits_63(),
            body=file.head,
            source=SOURCE,
            door="upload",
            refused_body=RefusedBody(problem.code, problem.detail, problem.facts, file.length, file.sha256),
        )
    )


def upload_queue(*, tenant: Tenant, upload_id: UUID) -> None:
    """Ask the workers to read on; asking twice does no harm."""
    try:
        current_app.send_task("metering.upload_read", args=[tenant.pk, str(upload_id)])
    except BrokerError as error:
        # The row is committed; beat takes it up when the broker answers again.
        _logger.warning("The upload %s could not be queued: %s", upload_id, error)


def upload_read(*, tenant: Tenant, upload_id: UUID, chunks_max: int = CHUNKS_A_TASK) -> bool:
    """Send some chunks of a file into the log; returns whether there is nothing left to do here.

    Two readers of one file do no harm: each chunk is sent under the lock of the upload's row.
    Raises Problem("storage_unavailable") where the log takes nothing; the chunk is sent by the next call.
    """
    return any(_chunk_send(tenant, upload_id) for _ in range(chunks_max))


def uploads_resume() -> int:
    """Take up every upload of every tenant of which nothing has moved for a while; returns how many.

    Also removes files that no upload belongs to.
    """
    stalled = Upload.objects.filter(finished_at=None, moved_at__lt=now() - STALLED_AFTER).select_related(
        "tenant"
    )
    for upload in stalled:
        upload_queue(tenant=upload.tenant, upload_id=upload.pk)
    orphaned = files_orphaned()
    for upload_id in set(orphaned) - set(Upload.objects.filter(pk__in=orphaned).values_list("pk", flat=True)):
        file_remove(upload_id)
    return len(stalled)


@transaction.atomic
def _chunk_send(tenant: Tenant, upload_id: UUID) -> bool:
    """Send the next chunk; returns whether the upload is finished, or another reader is at it. Locks the upload."""
    rows = uploads_for(tenant).filter(pk=upload_id, finished_at=None)
    upload = rows.select_for_update(skip_locked=True).first()
    if upload is None:
        return True
    upload.status, upload.moved_at = UploadStatus.READING, now()
    try:
        file = path_of(upload_id).open("rb")
    except FileNotFoundError:
        # Perhaps it is on another host, whose worker will find it.
        upload.error = "The file is not in this worker's UPLOAD_DIR."
        upload.save()
        return True
    upload.error = ""
    with file:
        try:
            count, body, mark = _chunk(file, upload)
        except Problem as problem:
            _refuse_rest(file, upload, problem)
            _finish(upload, UploadStatus.FAILED, problem.detail)
        else:
            if count:
                _count(upload, tenant, _submission(upload, body), count)
                upload.offset, upload.line = mark.offset, mark.line
            else:
                _finish(upload, UploadStatus.COMPLETED)
    upload.save()
    return upload.is_finished


def _chunk(file: BinaryIO, upload: Upload) -> tuple[int, bytes, Mark]:
    """How many rows come next, as the body of a submission, and the mark behind them; the same rows every time.

    Raises Problem where the file cannot be read on.
    """
    mark, packed, length = Mark(upload.offset, upload.line), [], 0
    try:
        for row, behind in rows_from(file, upload.form, mark):
            packed.append(row_pack(row))
            length += len(packed[-1])
            mark = behind
            if len(packed) == CHUNK_ROWS_MAX or length >= CHUNK_BYTES_MAX:
                break
    except Problem:
        # The rows before it first; the next chunk begins with it.
        if not packed:
            raise
    if not packed and not upload.rows:
        raise Problem("batch_empty", "The file has no event.")
    return len(packed), b"".join(packed), mark


def _submission(upload: Upload, body: bytes) -> Submission:
    place = sha256(f"{upload.pk}:{upload.offset}".encode()).digest()
    return Submission(
        tenant_id=upload.tenant_id,
        tenant_slug=upload.tenant.slug,
        api_key_id=None if upload.api_key_id is None else str(upload.api_key_id),
        received_at=upload.created_at,
        intake_id=int.from_bytes(place[:8], "big") & INTAKE_ID_MASK,
        body=body,
        source=upload.source,
        # A row's line goes behind it.
        idempotency_header=f"upload_{upload.sha256[:32]}",
        is_strict=upload.is_strict,
        door="upload",
    )


def _count(upload: Upload, tenant: Tenant, submission: Submission, rows: int) -> None:
    counts = submission_ingest(tenant=tenant, submission=submission).counts()
    upload.rows += rows
    upload.accepted += counts["accepted"]
    upload.duplicates += counts["duplicate"]
    upload.rejected += counts["rejected"]
    upload.held += counts["held"]


def _refuse_rest(file: BinaryIO, upload: Upload, problem: Problem) -> None:
    """What cannot be read from the mark on is one refused body."""
    file.seek(upload.offset)
    head, length, digest = b"", 0, sha256()
    for block in _blocks(file):
        head = head or block[:REFUSED_BODY_BYTES_MAX]
        length += len(block)
        digest.update(block)
    refused = RefusedBody(problem.code, problem.detail, problem.facts, length, digest.hexdigest())
    append(msgspec.structs.replace(_submission(upload, head), refused_body=refused))
    upload.rejected += 1


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(_READ_BYTES):
        yield block


def _finish(upload: Upload, status: UploadStatus, error: str = "") -> None:
    upload.status, upload.error, upload.finished_at = status, error, now()
    upload.offset = upload.bytes
    transaction.on_commit(lambda: file_remove(upload.pk))
