"""Upload: a file of events that somebody handed in, and how far it was read."""

from __future__ import annotations

from django.db import models

from aforo.kernel.clock import now
from aforo.kernel.identifiers import uuid7
from aforo.tenancy.models import TenantRow


class UploadStatus(models.TextChoices):
    WAITING = "WAITING", "Waiting"
    READING = "READING", "Reading"
    COMPLETED = "COMPLETED", "Completed"
    FAILED = "FAILED", "Failed"


class Upload(TenantRow):
    """Kept as a file until it is read to its end; sent into the log in chunks of which each is counted once.

    offset, line: where the next chunk begins (file_reading.Mark); moved once the chunk before is in the log.
    accepted, duplicates, rejected, held: as their sender would have been answered; the tally counts what became of them.
    error: why reading ended early, in a sentence; the rest of the file is then one dead letter.
    created_at: the time of receipt of every event in it.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    file_name = models.CharField(max_length=255, blank=True)
    form = models.CharField(max_length=8)
    bytes = models.BigIntegerField()
    sha256 = models.CharField(max_length=64)
    api_key_id = models.UUIDField(null=True)
    source = models.CharField(max_length=255)
    is_strict = models.BooleanField(default=False)
    status = models.CharField(max_length=9, choices=UploadStatus.choices, default=UploadStatus.WAITING)
    offset = models.BigIntegerField(default=0)
    line = models.BigIntegerField(default=1)
    rows = models.BigIntegerField(default=0)
    accepted = models.BigIntegerField(default=0)
    duplicates = models.BigIntegerField(default=0)
    rejected = models.BigIntegerField(default=0)
    held = models.BigIntegerField(default=0)
    error = models.TextField(blank=True)
    created_at = models.DateTimeField(default=now, editable=False)
    moved_at = models.DateTimeField(default=now, editable=False)
    finished_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        indexes = [
            models.Index(
                fields=["moved_at"],
                condition=models.Q(finished_at=None),
                name="upload_unfinished",
            )
        ]
        ordering = ["-id"]
        verbose_name = "upload"

    def __str__(self) -> str:
        return f"{self.file_name or self.form} · {self.status}"

    @property
    def is_finished(self) -> bool:
        return self.finished_at is not None
